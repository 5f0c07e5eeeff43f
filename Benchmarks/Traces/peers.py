#!/usr/bin/env python3
"""Busy time of traces as other profile readers give it, beside a union in plain Python.

  pip install HolisticTraceAnalysis nsys-ai          (TraceLens: from its repository, AMD-AGI/TraceLens)
  peers.py FILE...                                   .sqlite (Nsight Systems), .json, .json.gz (PyTorch)
  peers.py --headroom .build/release/headroom FILE... also asks `headroom explain --json`, where that is built

Prints one row per file and reader: busy share, seconds, peak memory. A reader that fails prints why. The union counts kernels, copies
and fills of the busiest device, between its first and its last event; it shares no code with any of them.
"""
import argparse
import collections
import gzip
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

WORK = {"kernel", "gpu_memcpy", "gpu_memset", "Kernel", "Memcpy", "Memset"}


def union(intervals):
    busy, reached = 0, None
    for start, end in sorted(intervals):
        if reached is None or start > reached:
            busy += end - start
            reached = end
        elif end > reached:
            busy += end - reached
            reached = end
    span = max(e for _, e in intervals) - min(s for s, _ in intervals) if intervals else 0
    return busy, span


def plain(path):
    devices = collections.defaultdict(list)
    if path.endswith(".sqlite"):
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        tables = {row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for kind in ("KERNEL", "MEMCPY", "MEMSET"):
            if f"CUPTI_ACTIVITY_KIND_{kind}" in tables:
                for device, start, end in base.execute(f"SELECT deviceId, start, end FROM CUPTI_ACTIVITY_KIND_{kind}"):
                    devices[device].append((start, end))
    else:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt") as file:
            document = json.load(file)
        for event in document if isinstance(document, list) else document["traceEvents"]:
            if event.get("cat") in WORK:
                start = round(float(event["ts"]) * 1000)
                device = event.get("args", {}).get("device", event.get("pid"))
                devices[device].append((start, start + round(float(event["dur"]) * 1000)))
    results = [union(intervals) for intervals in devices.values()]
    busy, span = max(results, key=lambda r: r[1], default=(0, 0))
    return f"{100 * busy / span:.2f} %" if span else "no device work"


def hta(path):
    if path.endswith(".sqlite"):
        return "reads PyTorch traces only"
    code = """
import json, os, sys, gzip
os.environ['HTA_DISABLE_NS_ROUNDING'] = '1'
from hta.trace_analysis import TraceAnalysis
analysis = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir=os.path.dirname(sys.argv[1]))
row = analysis.get_temporal_breakdown(visualize=False).iloc[0]
print('BUSY', 100 - float(row['idle_time_pctg']))
"""
    return ask([sys.executable, "-c", code, path])


def nsys_ai(path):
    if not path.endswith(".sqlite"):
        return "reads Nsight exports only"
    program = shutil.which("nsys-ai", path=os.path.dirname(sys.executable) + ":" + os.environ.get("PATH", ""))
    if not program:
        return "not installed"
    # It writes beside the file it reads.
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "trace.sqlite")
        shutil.copyfile(path, copy)
        done = subprocess.run([program, "skill", "run", "gpu_idle_gaps", copy], capture_output=True, text=True, timeout=600)
        text = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # "Total: 56 gaps, 935.4ms idle (97.4% of profile)", or that there are none.
        marks = ("Total:", "No GPU idle")
        return next((line for line in text if line.startswith(marks)), text[-1] if text else f"status {done.returncode}")[:70]


def tracelens(path):
    if path.endswith(".sqlite"):
        return "reads PyTorch traces only"
    code = """
import sys
from TraceLens import TreePerfAnalyzer
frame = TreePerfAnalyzer.from_file(sys.argv[1]).get_df_gpu_timeline()
print('BUSY', float(frame[frame['type'] == 'busy_time']['percent'].iloc[0]))
"""
    return ask([sys.executable, "-c", code, path])


def ask(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    for line in done.stdout.splitlines():
        if line.startswith("BUSY"):
            return f"{float(line.split()[1]):.2f} %"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return ("fails: " + lines[-1] if lines else f"fails with status {done.returncode}")[:70]


def headroom(program, path):
    done = subprocess.run([program, "explain", path, "--json"], capture_output=True, text=True, timeout=600)
    try:
        devices = json.loads(done.stdout).get("devices") or []
    except json.JSONDecodeError:
        return f"status {done.returncode}: {done.stderr.strip()[:50]}"
    figures = [d.get("deviceBusy") for d in devices]
    shares = [f.get("value") if isinstance(f, dict) else f for f in figures]
    shares = [s for s in shares if s is not None]
    return f"{100 * max(shares):.2f} %" if shares else "no device work"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--headroom")
    given = parser.parse_args()
    readers = {"union": plain, "HTA": hta, "nsys-ai": nsys_ai, "TraceLens": tracelens}
    if given.headroom:
        readers["headroom"] = lambda path: headroom(given.headroom, path)
    for path in given.files:
        print(os.path.basename(path))
        for name, reader in readers.items():
            before, begin = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.time()
            try:
                answer = reader(os.path.abspath(path))
            except Exception as error:  # a reader that fails is a row, not the end
                answer = f"fails: {type(error).__name__}: {error}"[:70]
            cpu = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            print(f"  {name:10} {answer:72} {time.time() - begin:6.1f} s" + (f", {cpu:.1f} s CPU" if cpu > 0.05 else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
