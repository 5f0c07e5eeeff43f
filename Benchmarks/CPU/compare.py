"""The CPU device against OpenVINO and against the machine, alternating in one run.

    python Benchmarks/CPU/compare.py [--runs 20] [--engine automatic] [--threads 2] [--only linear]

Needs `pip install openvino numpy`, a release build (`swift build -c release --product headroom --product benchmark-cpu`), and nothing else
running: what other processes took is printed.
"""
import argparse, os, pathlib, statistics, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = {"linear": (1, 8, 32, 128, 256), "stacked": (1, 8, 32), "seqlen": (1, 8)}
# Multiply-adds a row x 2: 20 (or 5 x 20, or 128 x 20 for the copied rows) products of 1,024 x 1,024.
FLOPS = {"linear": 20 * 2 * 1024**2, "stacked": 100 * 2 * 1024**2, "seqlen": 128 * 20 * 2 * 1024**2}
WEIGHTS = {"linear": 20 * 4 * 1024**2, "stacked": 100 * 4 * 1024**2, "seqlen": 20 * 4 * 1024**2}


class Ours:
    def __init__(self, model, precision, threads, engine):
        self.process = subprocess.Popen(
            [ROOT / ".build/release/benchmark-cpu", model, precision, str(threads), engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1)
        self.name = self.process.stdout.readline().strip()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def busy_seconds():
    return sum(float(x) for x in open("/proc/stat").readline().split()[1:4]) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engine", default="automatic")
    parser.add_argument("--only", default="")
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    import numpy, openvino

    core = openvino.Core()
    folder = pathlib.Path(tempfile.mkdtemp())
    print(f"| model | rows | ours ms (best, spread) | OpenVINO ms (best, spread) | ours / OpenVINO | share of the machine |")
    print("|---|---|---|---|---|---|")
    for name, sizes in CASES.items():
        if options.only and name != options.only:
            continue
        path = folder / f"{name}.onnx"
        subprocess.run([ROOT / ".build/release/headroom", "export", name, "-o", path], check=True, stdout=subprocess.DEVNULL)
        ours = Ours(path, options.precision, options.threads, options.engine)
        peak, bandwidth = ours.ask("peak"), ours.ask("bandwidth")
        for rows in sizes:
            model = core.read_model(path)
            shape = [rows if d.is_dynamic else d.get_length() for d in model.inputs[0].partial_shape]
            model.reshape({model.inputs[0].any_name: shape})
            settings = {"INFERENCE_NUM_THREADS": options.threads, "PERFORMANCE_HINT": "LATENCY",
                        "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bf16" else "f32"}
            request = core.compile_model(model, "CPU", settings).create_infer_request()
            data = numpy.full(shape, 0.01, numpy.float32)
            request.infer([data]), ours.ask(f"rows {rows}")
            a, b = [], []
            for _ in range(options.runs):
                a.append(ours.ask(f"rows {rows}"))
                start = time.perf_counter()
                request.infer([data])
                b.append((time.perf_counter() - start) * 1e3)
            mine, theirs = statistics.median(a), statistics.median(b)
            floor = max(FLOPS[name] * rows / (peak * 1e9), WEIGHTS[name] * (0.5 if options.precision != "fp32" else 1) / (bandwidth * 1e9)) * 1e3
            spread = lambda x: f"{min(x):.2f}, {statistics.quantiles(x, n=10)[-1] - statistics.quantiles(x, n=10)[0]:.2f}"
            print(f"| {name} | {rows} | {mine:.2f} ({spread(a)}) | {theirs:.2f} ({spread(b)}) | {mine / theirs:.2f} | {floor / mine:.0%} |", flush=True)
        print(f"| | | FMA peak {peak:.0f} GFLOP/s, read {bandwidth:.1f} GB/s, {ours.name} | | | |", flush=True)
        ours.close()


main()
