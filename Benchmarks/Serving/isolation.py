#!/usr/bin/env python3
"""What a process of its own costs a model: `--isolate-engines=always` against `never`, in turn, as pairs.

    Benchmarks/Serving/isolation.py [--seconds 5] [--pairs 10] [--output FOLDER]

Needs onnx and numpy to write the models, ONNX Runtime where headroom finds it, HEADROOM_BINARY or a release build. A small model (16 numbers a
row: what is left is the cost of the way there and back) and a large one (megabytes a row both ways, and a product). Closed loops of
`headroom load`. Prints a Markdown table: medians, and the median of the pairs' ratios with its 95 % interval by bootstrap.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "Tests/peers"))
os.environ.setdefault("HEADROOM_BINARY", str(ROOT / ".build/release/headroom"))
import serving  # noqa: E402

# name: (elements per row, has a product, users)
MODELS = {"small": (16, False, 1), "small, 16 users": (16, False, 16), "large": (1 << 20, False, 2), "product": (1024, True, 4)}


def write(path, elements, has_product):
    """y = shrink(x), which no kernel of our own runs; or of x w with a square w."""
    import numpy
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, last = [], [], "x"
    if has_product:
        generator = numpy.random.default_rng(1)
        weights = [numpy_helper.from_array(generator.standard_normal((elements, elements), dtype=numpy.float32) / 32, "w")]
        nodes, last = [helper.make_node("MatMul", ["x", "w"], ["m"])], "m"
    nodes.append(helper.make_node("Shrink", [last], ["y"]))
    shape = ["rows", elements]
    graph = helper.make_graph(
        nodes, "isolation", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True)
    path.write_bytes(model.SerializeToString())
    (path.parent.parent / "config.pbtxt").write_text("max_batch_size: 8\ndynamic_batching { }\n")


def measure(repository, mode, users, seconds):
    with serving.serve(repository, f"--isolate-engines={mode}") as server:
        result = subprocess.run(
            [os.environ["HEADROOM_BINARY"], "load", "--url", server.http, "--model", "model", "--users", str(users),
             "--duration", str(seconds), "--warmup", "1", "--json"], capture_output=True, text=True, timeout=seconds + 60)
        report = json.loads(result.stdout)
    return find(report, "requestsPerSecond"), find(report, "p50Microseconds"), find(report, "p99Microseconds")


def find(tree, key):
    """The first value of that key, outermost first."""
    level = [tree]
    while level:
        following = []
        for node in level:
            if isinstance(node, dict):
                if isinstance(node.get(key), (int, float)):
                    return float(node[key])
                following += node.values()
            elif isinstance(node, list):
                following += node
        level = following
    raise KeyError(key)


def interval(ratios):
    draw = random.Random(7)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(4000))
    return medians[100], medians[3899]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--output")
    options = parser.parse_args()
    lines = ["| model | requests/s in the server | in its own process | ratio (95 %) | p50, us | p99, us |", "|---|---|---|---|---|---|"]
    runs = {}
    for name, (elements, has_product, users) in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            write(pathlib.Path(folder) / "model/1/model.onnx", elements, has_product)
            pairs = []
            for turn in range(options.pairs):
                modes = ["never", "always"] if turn % 2 == 0 else ["always", "never"]
                found = {mode: measure(folder, mode, users, options.seconds) for mode in modes}
                pairs.append((found["never"], found["always"]))
        runs[name] = pairs
        ratios = [isolated[0] / inside[0] for inside, isolated in pairs]
        low, high = interval(ratios)

        def median(side, value):
            return statistics.median(pair[side][value] for pair in pairs)

        lines.append(
            f"| {name} | {median(0, 0):,.0f} | {median(1, 0):,.0f} | {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}) | "
            f"{median(0, 1):,.0f} -> {median(1, 1):,.0f} | {median(0, 2):,.0f} -> {median(1, 2):,.0f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        pathlib.Path(options.output).mkdir(parents=True, exist_ok=True)
        (pathlib.Path(options.output) / "isolation.md").write_text(text)
        (pathlib.Path(options.output) / "isolation.json").write_text(json.dumps(runs))


if __name__ == "__main__":
    main()
