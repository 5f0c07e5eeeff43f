"""The CPU device's engines against each other, in turns, so that what a neighbour takes is taken from all.

    python Benchmarks/CPU/engines.py [--runs 30] [--threads 2] [--model linear] [--precision fp32]

Needs a release build (`swift build -c release --product headroom --product benchmark-cpu`) and Scripts/fetch-onednn.
"""
import argparse, pathlib, statistics, subprocess, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENGINES = ("own", "onednn", "automatic")


class Engine:
    def __init__(self, model, precision, threads, engine):
        self.process = subprocess.Popen(
            [ROOT / ".build/release/benchmark-cpu", model, precision, str(threads), engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1, cwd=ROOT)
        self.process.stdout.readline()

    def milliseconds(self, rows):
        self.process.stdin.write(f"rows {rows}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="linear")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 8, 32, 128, 256])
    parser.add_argument("--headroom", default=ROOT / ".build/release/headroom")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        subprocess.run([options.headroom, "export", options.model, "-o", path], check=True, stdout=subprocess.DEVNULL)
        engines = {name: Engine(path, options.precision, options.threads, name) for name in ENGINES}
        print(f"{options.model}, {options.precision}, {options.threads} threads: ms of a batch, best (median)\n")
        print("| rows | " + " | ".join(ENGINES) + " | onednn / own, best |\n" + "|---" * (len(ENGINES) + 2) + "|")
        for rows in options.rows:
            times = {name: [] for name in ENGINES}
            for _ in range(options.runs):
                for name, engine in engines.items():
                    # The engines' processes share the machine's cache: one batch brings the weights back.
                    engine.milliseconds(rows)
                    times[name].append(engine.milliseconds(rows))
            cells = [f"{min(times[name]):.2f} ({statistics.median(times[name]):.2f})" for name in ENGINES]
            print(f"| {rows} | " + " | ".join(cells) + f" | {min(times['onednn']) / min(times['own']):.2f} |", flush=True)
        for engine in engines.values():
            engine.process.stdin.close()
            engine.process.wait()


main()
