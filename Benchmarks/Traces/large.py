#!/usr/bin/env python3
"""Writes traces of about a gigabyte (generate.py) and times `headroom explain` on them: the table of Docs/benchmarks.md.

  large.py --headroom .build/release/headroom [--folder /tmp/headroom-large] [--runs 3] [--keep]

Three files: a Nsight export (5 M kernels, 12 M API calls), a PyTorch trace of 1,000 MB of text, the same compressed; 2.1 GB of disk. Each is
read once so that it lies in the page cache, then explained RUNS times. Exits with 1 where the median by the clock, or the largest peak of
memory, is over the limit. Needs an otherwise idle machine: the load average is printed.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# File, how to make it, seconds by the clock, bytes.
FILES = [
    ("big.sqlite", ["nsight"], 8.0, 1.5e9),
    ("big.json", ["kineto"], 8.0, 1.5e9),
    ("big.json.gz", ["kineto"], 12.0, 1.5e9),
]


def timed(command):
    """Seconds by the clock, processor seconds, peak bytes, exit status, standard output."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, process.returncode, output.decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headroom", required=True)
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("TMPDIR", "/tmp")) / "headroom-large")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the files for the next time")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    missed = False
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    print("| file | by the clock | processor time | peak memory | limits |\n|---|---|---|---|---|")
    for name, kind, seconds, memory in FILES:
        path = arguments.folder / name
        if not path.exists():
            subprocess.run([sys.executable, HERE / "generate.py", *kind, path], check=True)
        with open(path, "rb") as file:
            while file.read(1 << 22):
                pass
        runs = [timed([arguments.headroom, "explain", path, "--quiet"]) for _ in range(arguments.runs)]
        for run in runs:
            if run[3] not in (0, 3):
                sys.exit(f"{path}: exit status {run[3]}: {run[4][:500]}")
        clock = statistics.median(run[0] for run in runs)
        peak = max(run[2] for run in runs)
        kept = clock <= seconds and peak <= memory
        missed = missed or not kept
        print(
            f"| {name}, {path.stat().st_size / 1e6:.0f} MB | {clock:.1f} s ({min(r[0] for r in runs):.1f} to {max(r[0] for r in runs):.1f}, "
            f"{len(runs)} runs) | {statistics.median(run[1] for run in runs):.1f} s | {peak / 1e6:,.0f} MB | "
            f"{seconds:.0f} s, {memory / 1e9:.1f} GB: {'kept' if kept else 'MISSED'} |",
            flush=True,
        )
        if not arguments.keep:
            path.unlink()
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
