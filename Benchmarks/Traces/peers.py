#!/usr/bin/env python3
"""Busy time of traces as other profile readers give it, beside a union in plain Python.

  pip install HolisticTraceAnalysis==0.5.0 nsys-ai==0.3.0
  pip install pandas tqdm orjson openpyxl tabulate PyYAML matplotlib
  git clone https://github.com/AMD-AGI/TraceLens && pip install --no-deps ./TraceLens    (PyPI's "tracelens" is another program)
  peers.py FILE...                                   .sqlite (Nsight Systems), .json, .json.gz (PyTorch)
  peers.py --headroom .build/release/headroom FILE... also asks `headroom explain --json`, where that is built
  peers.py --headroom .build/release/headroom --planted
                                                      writes traces of programs with one known limit (`headroom bench --suite planted
                                                      --out`), in both forms, and prints the table of Docs/explain.md

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
        done = subprocess.run([program, "skill", "run", "gpu_idle_gaps", copy], capture_output=True, text=True, timeout=600, cwd=folder)
        text = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # "Total: 56 gaps, 935.4ms idle (97.4% of profile)", or that there are none.
        marks = ("Total:", "No GPU idle", "(No significant GPU idle")
        answer = next((line for line in text if line.startswith(marks)), text[-1] if text else f"status {done.returncode}")[:90]
        # What the longest gap is put down to: the last column of the table's first row.
        ruler = next((index for index, line in enumerate(text) if line.startswith("\u2500\u2500\u2500\u2500")), None)
        if ruler is not None and ruler + 1 < len(text):
            answer += "; longest: " + text[ruler + 1].split()[-1]
        return answer


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
        traces = json.loads(done.stdout).get("traces") or []
    except json.JSONDecodeError:
        return f"status {done.returncode}: {done.stderr.strip()[:50]}"
    devices = [device for trace in traces for device in trace["devices"]]
    device = max(devices, key=lambda d: d["deviceBusyNanoseconds"], default=None)
    if device is None:
        return "no device work"
    return f"{100 * device['deviceBusyNanoseconds'] / device['spanNanoseconds']:.2f} %, {device['verdict']['bottleneck']}"


PLANTED = ["launchBound-1", "unnecessarySynchronization-1", "pageableTransfer-1", "noPipelining-1", "client-1", "smallGEMM-1", "memoryBound-1",
           "healthySaturated-1"]


def nsys_ai_cause(path):
    """What `nsys-ai diagnose` puts first."""
    program = shutil.which("nsys-ai", path=os.path.dirname(sys.executable) + ":" + os.environ.get("PATH", ""))
    if not program:
        return "not installed"
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "trace.sqlite")
        shutil.copyfile(path, copy)
        done = subprocess.run([program, "diagnose", copy], capture_output=True, text=True, timeout=600, cwd=folder)
        # "  X [region] Critical path is cpu-bound  (44.9ms)": the findings but for single kernels, in its own order.
        found = [line.split("]", 1)[1].strip() for line in done.stdout.splitlines() if "[highlight]" in line or "[region]" in line]
        found = [f.split("  (")[0] for f in found if not f.startswith(("Hotspot", "GPU Idle Gap"))]
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip() and "DuckDB" not in line]
        return " / ".join(found[:4])[:260] if found else (lines[-1][:120] if lines else f"status {done.returncode}")


def hta_cause(path):
    code = """
import os, sys
os.environ['HTA_DISABLE_NS_ROUNDING'] = '1'
from hta.trace_analysis import TraceAnalysis
analysis = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir=os.path.dirname(sys.argv[1]))
frame = analysis.get_idle_time_breakdown(visualize=False)[0]
rows = frame.groupby('idle_category')['idle_time'].sum()
print('BUSY-CAUSE', ', '.join(f'{name} {100 * value / max(1e-9, rows.sum()):.0f} %' for name, value in rows.sort_values(ascending=False).items()))
"""
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=600)
    for line in done.stdout.splitlines():
        if line.startswith("BUSY-CAUSE"):
            return line.split(" ", 1)[1]
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return ("fails: " + lines[-1] if lines else f"fails with status {done.returncode}")[:90]


def planted(program, written=None):
    """A table: the planted limit, busy time by plain union, and what each reader makes of the same file."""
    with tempfile.TemporaryDirectory() as folder:
        if written:
            folder = written
        else:
            subprocess.run([program, "bench", "--suite", "planted", "--quiet", "--out", folder], check=False, stdout=subprocess.DEVNULL)
        print("| planted limit | busy by union | nsys-ai: gaps | nsys-ai: diagnose | HTA: busy | HTA: idle by | TraceLens: busy | headroom: Nsight export | Kineto trace |")
        print("|---|---|---|---|---|---|---|---|---|")
        for name in PLANTED:
            place = next((os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.startswith(name + "-")), None)
            if place is None:
                print(f"| {name} | not written |")
                continue
            nsight, kineto = os.path.join(place, "trace.sqlite"), os.path.join(place, "trace.json")
            cells = [name, plain(nsight)]
            for reader, path in ((nsys_ai, nsight), (nsys_ai_cause, nsight), (hta, kineto), (hta_cause, kineto), (tracelens, kineto)):
                try:
                    cells.append(reader(path))
                except Exception as error:  # a reader that fails is a cell, not the end
                    cells.append(f"fails: {type(error).__name__}: {error}"[:90])
            cells += [headroom(program, nsight), headroom(program, kineto)]
            print("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--headroom")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--folder", help="with --planted: files that `headroom bench --suite planted --out` wrote; default: written anew")
    given = parser.parse_args()
    if given.planted:
        if not given.headroom:
            parser.error("--planted needs --headroom")
        planted(os.path.abspath(given.headroom), given.folder)
        return 0
    if not given.files:
        parser.error("give files, or --planted")
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
