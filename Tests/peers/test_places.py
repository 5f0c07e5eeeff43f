"""ARCHITECTURE.md's "Where to add what" is true of operators: a made-up one compiles when it is added in the files that it names, and nowhere
else. What then runs is shown by the Swift tests that take every entry of the operators' tables."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
# By kind: its bullet in ARCHITECTURE.md, and by file (text, what takes its place).
KINDS = {
    "element-wise": ("element-wise operator", {
        "Sources/ModelGraph/Operators/UnaryOperation.swift": [
            ("softsign, hardSwish\n", "softsign, hardSwish, madeUp\n"), ('    case .hardSwish: "HardSwish"\n', '    case .hardSwish: "HardSwish"\n    case .madeUp: "MadeUp"\n'),
            (".softsign, .hardSwish: false", ".softsign, .hardSwish, .madeUp: false"), ("    case .hardSwish: x *", "    case .madeUp: 2 * x\n    case .hardSwish: x *")],
        "Sources/Execution/CPU/ElementLoops.swift": [
            ("    case .hardSwish: for", "    case .madeUp: for index in 0..<count { y[index] = 2 * x[index] }\n    case .hardSwish: for")],
        "Sources/Execution/CUDA/CUDAStep.swift": [("      case .hardSwish: HR", "      case .madeUp: HR_UNARY_MADE_UP\n      case .hardSwish: HR")],
        "Sources/CCUDAKernels/include/kernel_arguments.h": [("  HR_UNARY_HARDSWISH,\n", "  HR_UNARY_HARDSWISH,\n  HR_UNARY_MADE_UP,\n")],
        "Sources/CCUDAKernels/kernels/elements.cuh": [("    case HR_UNARY_HARDSWISH:", "    case HR_UNARY_MADE_UP: return 2.0f * x;\n    case HR_UNARY_HARDSWISH:")],
    }),
    "with attributes": ("element-wise operator", {
        "Sources/ModelGraph/Operators/AttributedFunction.swift": [
            ("hardSigmoid, thresholdedRelu\n", "hardSigmoid, thresholdedRelu, madeUpToo\n"),
            ('    case .celu: "Celu"\n', '    case .celu: "Celu"\n    case .madeUpToo: "MadeUpToo"\n'),
            (".celu, .thresholdedRelu: [", ".celu, .thresholdedRelu, .madeUpToo: ["), (".thresholdedRelu: false", ".thresholdedRelu, .madeUpToo: false"),
            ("    case .celu: max", "    case .madeUpToo: first * x\n    case .celu: max")],
        "Sources/Execution/CPU/ElementLoops.swift": [
            ("    case .celu: for", "    case .madeUpToo: for index in 0..<count { y[index] = first * x[index] }\n    case .celu: for")],
        "Sources/Execution/CUDA/CUDAStep.swift": [("      case .celu: HR", "      case .madeUpToo: HR_UNARY_MADE_UP_TOO\n      case .celu: HR")],
        "Sources/CCUDAKernels/include/kernel_arguments.h": [("  HR_UNARY_CELU,\n", "  HR_UNARY_CELU,\n  HR_UNARY_MADE_UP_TOO,\n")],
        "Sources/CCUDAKernels/kernels/elements.cuh": [("    case HR_UNARY_CELU:", "    case HR_UNARY_MADE_UP_TOO: return first * x;\n    case HR_UNARY_CELU:")],
    }),
    "reduction": ("reduction", {
        "Sources/ModelGraph/Operators/Reduction.swift": [
            ("logarithmOfSum, logarithmOfSumOfExponentials\n", "logarithmOfSum, logarithmOfSumOfExponentials, madeUpSum\n"),
            ('    case .l1: "ReduceL1"\n', '    case .l1: "ReduceL1"\n    case .madeUpSum: "ReduceMadeUp"\n'),
            ("    case .l1: return", "    case .madeUpSum: return values.reduce(0) { $0 + 2 * $1 }\n    case .l1: return")],
        "Sources/Execution/CPU/ReductionLoops.swift": [("    case .l1: fold", "    case .madeUpSum: fold(0) { $0 + 2 * $1 }\n    case .l1: fold")],
        "Sources/Execution/CUDA/CUDAStep.swift": [("      case .l1: HR", "      case .madeUpSum: HR_REDUCE_MADE_UP\n      case .l1: HR")],
        "Sources/CCUDAKernels/include/kernel_arguments.h": [("  HR_REDUCE_L1,\n", "  HR_REDUCE_L1,\n  HR_REDUCE_MADE_UP,\n")],
        "Sources/CCUDAKernels/kernels/rows.cuh": [
            ("        case HR_REDUCE_L1:", "        case HR_REDUCE_MADE_UP: value += 2.0f * x; break;\n        case HR_REDUCE_L1:")],
    }),
    "along an axis": ("operator along one axis", {
        "Sources/ModelGraph/Operators/AxisOperators.swift": [
            ('    alongAxis("Hardmax"', '    alongAxis("MadeUpLane", operations: 2, attributes: [.real("factor", usual: 2)]) { lane, attributes in\n'
             '      lane.map { $0 * Double(attributes.real("factor")) }\n    },\n    alongAxis("Hardmax"')],
        "Sources/Execution/CPU/AxisLoops.swift": [
            ('    "Hardmax": {', '    "MadeUpLane": { attributes in\n      let factor = attributes.real("factor")\n'
             '      return { lane in for index in 0..<lane.size { lane.floats[index * lane.stride] = factor * lane.source[index * lane.stride] } }\n'
             '    },\n    "Hardmax": {')],
        "Sources/CCUDAKernels/kernels/rows.cuh": [
            ("HR_KERNEL(128)\nHR_NAME(hardmax)", "HR_KERNEL(128)\nHR_NAME(madeuplane)(const Element *source, Element *target, long long rows, int width, "
             "long long stride, float factor, float second) {\n  for (long long index = block_index() * 128 + thread_index(); index < rows * width; "
             "index += block_count() * 128) {\n    from_float(factor * to_float(source[index]), target + index);\n  }\n}\n\n"
             "HR_KERNEL(128)\nHR_NAME(hardmax)")],
        "Sources/CCUDAStandIn/kernels.cpp": [("TYPED(hardmax, 128)", "TYPED(hardmax, 128), TYPED(madeuplane, 128)")],
    }),
    "several inputs": ("operator of several inputs", {
        "Sources/ModelGraph/Operators/ElementOperators.swift": [
            ('    elementwise("PRelu"', '    elementwise("MadeUpThree", inputs: 3) { elements, _ in elements[0] + elements[1] * elements[2] },\n    elementwise("PRelu"')],
        "Sources/Execution/CPU/CombinationLoops.swift": [
            ('    "PRelu": {', '    "MadeUpThree": { _ in ternary { $0 + $1 * $2 } },\n    "PRelu": {')],
        "Sources/CCUDAKernels/kernels/elements.cuh": [
            ("HR_KERNEL(256)\nHR_NAME(prelu)", "HR_KERNEL(256)\nHR_NAME(madeupthree)(const Element *a, const Element *b, const Element *c, Element *target, "
             "HRWalk walk, float first, float second) {\n  for (long long index = first_index(); index < walk.count; index += index_step()) {\n"
             "    Places place = places(walk, index);\n    from_float(to_float(a[place.a]) + to_float(b[place.b]) * to_float(c[place.c]), target + index);\n"
             "  }\n}\n\nHR_KERNEL(256)\nHR_NAME(prelu)")],
        "Sources/CCUDAStandIn/kernels.cpp": [("TYPED(prelu, 256)", "TYPED(prelu, 256), TYPED(madeupthree, 256)")],
    }),
    "arithmetic of two": ("operator of several inputs", {
        "Sources/ModelGraph/Operators/BinaryOperation.swift": [
            ("power, minimum, maximum\n", "power, minimum, maximum, madeUpMean\n"), ('    case .minimum: "Min"\n', '    case .minimum: "Min"\n    case .madeUpMean: "MadeUpMean"\n'),
            ("    case .minimum: a.isNaN", "    case .madeUpMean: (a + b) / 2\n    case .minimum: a.isNaN")],
        "Sources/Execution/CPU/ElementLoops.swift": [
            ("    case .power, .minimum, .maximum: nil", "    case .power, .minimum, .maximum, .madeUpMean: nil"),
            ("    case .minimum: a.isNaN", "    case .madeUpMean: (a + b) / 2\n    case .minimum: a.isNaN")],
        "Sources/Execution/CPU/CPUExecutor.swift": [
            ("      case .minimum: y[index] = min(p, q)", "      case .madeUpMean: y[index] = (p &+ q) / 2\n      case .minimum: y[index] = min(p, q)")],
        "Sources/Execution/CUDA/CUDAStep.swift": [("      case .power: HR", "      case .madeUpMean: HR_BINARY_MADE_UP_MEAN\n      case .power: HR")],
        "Sources/CCUDAKernels/include/kernel_arguments.h": [("HR_BINARY_POWER, ", "HR_BINARY_POWER, HR_BINARY_MADE_UP_MEAN, ")],
        "Sources/CCUDAKernels/kernels/elements.cuh": [
            ("      case HR_BINARY_POWER:", "      case HR_BINARY_MADE_UP_MEAN: value = (x + y) / 2; break;\n      case HR_BINARY_POWER:")],
    }),
    "another shape": ("operator that moves elements", {
        "Sources/ModelGraph/Operators/LayoutOperators.swift": [
            ('    moved(\n      "Tile"', '    moved(\n      "MadeUpTwice", attributes: [],\n      Movement(\n'
             '        fill: { _ in nil }, origin: { position, sizes, _ in [position[0] % sizes[0]] + position.dropFirst() },\n'
             '        moves: { sizes, _ in\n          let strides = DenseArray.strides(sizes)\n'
             '          return [.rearranged([2] + sizes, [0] + strides)]\n        })\n    ) { call throws(OperatorRefusal) in\n'
             '      let x = try call.input(0)\n      guard let first = x.shape.first?.multiplied(by: .fixed(2)) else { throw OperatorRefusal("is a scalar") }\n'
             '      return (x.type, [first] + x.shape.dropFirst())\n    },\n    moved(\n      "Tile"')],
    }),
    "several results": ("operator of several results", {
        "Sources/ModelGraph/Operators/MultipleResultOperators.swift": [
            ('    alongAxis(\n      "TopK"', '    alongAxis(\n      "MadeUpEnds", operations: 1, results: [.ofElements, .ofElements],\n'
             '      size: { _, _ throws(OperatorRefusal) in .fixed(1) }\n    ) { lane, _ in [[lane.min() ?? 0], [lane.max() ?? 0]] },\n    alongAxis(\n      "TopK"')],
        "Sources/Execution/CPU/AxisLoops.swift": [
            ('    "TopK": {', '    "MadeUpEnds": { _ in\n      { lane in\n        let last = lane.targets[1].assumingMemoryBound(to: Float.self)\n'
             '        lane.floats[0] = lane.source[lane.stride * lane.extreme(isLast: false, <)]\n'
             '        last[0] = lane.source[lane.stride * lane.extreme(isLast: false, >)]\n      }\n    },\n    "TopK": {')],
        "Sources/CCUDAKernels/kernels/rows.cuh": [
            ("/// The best that is behind the last, `kept` times", "HR_KERNEL(128)\nHR_NAME(madeupends)(const Element *source, Element *target, Element *largest, "
             "void *third, long long rows, int width, long long stride, int kept, float first, float second) {\n"
             "  for (long long row = block_index() * 4 + thread_index() / 32; row < rows; row += block_count() * 4) {\n"
             "    const Element *x = source + (row / stride * width * stride + row % stride);\n"
             "    int low = extreme_place(x, width, stride, -1.0f, false), high = extreme_place(x, width, stride, 1.0f, false);\n"
             "    if (thread_index() % 32 == 0) {\n      target[row] = x[low * stride];\n      largest[row] = x[high * stride];\n    }\n  }\n}\n\n"
             "/// The best that is behind the last, `kept` times")],
        "Sources/CCUDAStandIn/kernels.cpp": [("TYPED(topk, 128)", "TYPED(topk, 128), TYPED(madeupends, 128)")],
    }),
    "normalization": ("normalization", {
        "Sources/ModelGraph/Operators/NormalizationOperators.swift": [
            ('    normalization(\n      "InstanceNormalization"', '    normalization(\n      "MadeUpScale", parameters: 1, attributes: [],\n'
             '      shape: { call throws(OperatorRefusal) in try channels(call, rank: 2) }, rows: { sizes, _ in .perChannel(sizes[0]) }\n'
             '    ) { row, parameters, _ in zip(row, parameters[0]).map { $0 * $1 } },\n    normalization(\n      "InstanceNormalization"')],
        "Sources/Execution/CPU/NormalizationLoops.swift": [
            ('    "InstanceNormalization": {', '    "MadeUpScale": { _ in\n      { row in\n        row.forEachRun { range, place in\n'
             '          for index in range { row.target[index] = row.source[index] * row.parameters[0][place] }\n        }\n      }\n    },\n'
             '    "InstanceNormalization": {')],
        "Sources/CCUDAKernels/kernels/rows.cuh": [
            ("HR_NORMALIZATION(instancenormalization)", "HR_NORMALIZATION(madeupscale) {\n  for (long long row = block_index(); row < layout.rows; row += block_count()) {\n"
             "    for (int index = thread_index(); index < layout.width; index += 128) {\n      long long element = row * layout.width + index;\n"
             "      from_float(to_float(source[element]) * to_float(a[parameter_place(layout, row, index)]), target + element);\n    }\n  }\n}\n\n"
             "HR_NORMALIZATION(instancenormalization)")],
        "Sources/CCUDAStandIn/kernels.cpp": [("TYPED(instancenormalization, 128)", "TYPED(instancenormalization, 128), TYPED(madeupscale, 128)")],
    }),
    "by an index": ("operator by an index", {
        "Sources/ModelGraph/Operators/IndexOperators.swift": [
            ('    indexed(\n      "GatherElements"', '    indexed(\n      "MadeUpRows", inputs: 2, attributes: [],\n      Indexing(\n'
             '        place: { position, _, _, index in [index([position[0]])] + position.dropFirst() },\n'
             '        moves: { sizes, _ in\n          let (results, strides) = (sizes[1] + sizes[0].dropFirst(), DenseArray.strides(sizes[0]))\n'
             '          return [\n            ElementMove(\n'
             '              sizes: results, source: .init(offset: 0, strides: [0] + strides.dropFirst()),\n'
             '              target: .init(offset: 0, strides: DenseArray.strides(results)),\n              lookup: .init(\n'
             '                input: 1, region: .init(offset: 0, strides: [1] + strides.dropFirst().map { _ in 0 }),\n'
             '                axes: [.init(size: sizes[0][0], stride: strides[0])]))\n          ]\n        })\n'
             '    ) { call throws(OperatorRefusal) in\n      let (x, indices) = (try call.input(0), try call.input(1))\n'
             '      guard indices.shape.count == 1, !x.shape.isEmpty else { throw OperatorRefusal("takes rows by a list") }\n'
             '      return (x.type, indices.shape + x.shape.dropFirst())\n    },\n    indexed(\n      "GatherElements"')],
    }),
}


def bullet(name):
    """The lines of ARCHITECTURE.md on a thing to add."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    return re.search(rf"^- an? \*\*{name}\*\*.*?(?=^- )", text, re.M | re.S).group(0)


def added(kind):
    """The files that a made-up operator of a kind takes, with it in them."""
    files = {}
    for path, changes in KINDS[kind][1].items():
        text = (ROOT / path).read_text()
        for before, after in changes:
            assert text.count(before) == 1, f"{path} has {text.count(before)} of {before!r}"
            text = text.replace(before, after)
        files[path] = text
    return files


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_names_the_files_of_an_operator(kind):
    page = bullet(KINDS[kind][0])
    files = added(kind)
    assert len(files) <= 6 and f"{len(files)} file" in page
    for path in files:
        assert pathlib.Path(path).name in page, f"{path} is not on the page"


@pytest.mark.long
@pytest.mark.timeout(1000)
def test_made_up_operators_compile_in_those_files_alone(tmp_path):
    hidden = shutil.ignore_patterns(".*", "dist", "report", "__pycache__")
    shutil.copytree(ROOT, tmp_path / "copy", ignore=hidden, symlinks=True)
    files = {}
    for kind in KINDS:
        for path, changes in KINDS[kind][1].items():
            text = files.get(path) or (ROOT / path).read_text()
            for before, after in changes:
                text = text.replace(before, after)
            files[path] = text
    for path, text in files.items():
        (tmp_path / "copy" / path).write_text(text)
    # What the dependencies were fetched into, so that nothing is fetched again.
    (tmp_path / "copy/.build").mkdir()
    for name in ["checkouts", "repositories", "workspace-state.json"]:
        source = ROOT / ".build" / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / "copy/.build" / name, symlinks=True)
        elif source.exists():
            shutil.copy(source, tmp_path / "copy/.build" / name)
    # Shapes, reference and rewrites; plans and their files; both devices; the reader and the writer.
    for target in ["Execution", "PlanReports", "CCUDAStandIn"]:
        done = subprocess.run(
            ["swift", "build", "--disable-index-store", "--target", target], cwd=tmp_path / "copy", capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
