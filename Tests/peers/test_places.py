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
    assert len(files) <= 6 and f"{len(files)} files" in page
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
    for target in ["Execution", "PlanReports"]:
        done = subprocess.run(
            ["swift", "build", "--disable-index-store", "--target", target], cwd=tmp_path / "copy", capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
