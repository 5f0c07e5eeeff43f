"""Runs Triton's own QA files against this server and writes the table of what they found.

    run.py --triton CHECKOUT [--headroom .build/release/headroom] [--only TEXT ...] [--report Docs/triton-qa.md]

CHECKOUT is a checkout of github.com/triton-inference-server/server, which whoever runs this fetches; nothing of it is kept here. See README.md.
"""

import argparse
import concurrent.futures
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cases
import report

HERE = Path(__file__).resolve().parent


def find_onnx_runtime():
    """ONNX Runtime of this Python, where the program would not look by itself."""
    package = importlib.util.find_spec("onnxruntime")
    if "HEADROOM_ONNXRUNTIME" not in os.environ and package and package.origin:
        for library in Path(package.origin).parent.glob("capi/libonnxruntime.so.*"):
            os.environ["HEADROOM_ONNXRUNTIME"] = str(library)


class Runner:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.isolated = not arguments.no_namespaces and self._can_isolate()
        self.at_once = arguments.jobs if self.isolated else 1
        self.lock, self.done = threading.Lock(), 0

    @staticmethod
    def _unshare():
        # As root the namespaces come without mapping users; otherwise with.
        return ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])

    def _can_isolate(self):
        if not shutil.which("unshare"):
            return False
        return subprocess.run([*self._unshare(), "true"], capture_output=True).returncode == 0

    def run(self, index, job, attempt=1):
        folder = self.folder / f"{index:03d}-{attempt}"
        folder.mkdir(parents=True)
        command = [
            sys.executable, str(HERE / "job.py"), str(index), "--triton", self.arguments.triton, "--headroom", self.arguments.headroom,
            "--folder", str(folder)]
        if self.isolated:
            command = [*self._unshare(), *command, "--namespace"]
        with open(folder / "job.log", "wb") as log:
            try:
                subprocess.run(command, stdout=log, stderr=log, timeout=job.timeout + 120)
            except subprocess.TimeoutExpired:
                pass
        result = folder / "result.json"
        if result.exists():
            return json.loads(result.read_text())
        reason = (folder / "job.log").read_text(errors="replace").strip().splitlines()
        return {"job": {"outcome": "failed", "reason": reason[-1] if reason else "no result", "seconds": 0}}

    def progress(self, total, job, found):
        with self.lock:
            self.done += 1
            failed = [name for name, case in found.items() if case["outcome"] == "failed"]
            word = f"FAILED {', '.join(failed)}" if failed else "passed"
            print(f"[{self.done}/{total}] {job.title}: {word}", flush=True)


def failed(found):
    return any(case["outcome"] == "failed" for case in found.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triton", required=True, help="a checkout of triton-inference-server/server")
    parser.add_argument("--headroom", default=".build/release/headroom")
    parser.add_argument("--only", action="append", default=[], help="jobs whose title has this text; may be repeated")
    parser.add_argument("--jobs", type=int, default=4, help="servers at the same time, where namespaces can be made (otherwise 1)")
    parser.add_argument("--no-namespaces", action="store_true", help="one after the other, on the ports 8000 to 8002 of this machine")
    parser.add_argument("--no-second-try", action="store_true", help="a failed job is not tried once more alone")
    parser.add_argument("--report", help="the page to write; without it only the summary is printed")
    parser.add_argument("--folder", help="where logs and repositories go (default: a temporary folder)")
    arguments = parser.parse_args()
    arguments.triton, arguments.headroom = str(Path(arguments.triton).resolve()), str(Path(arguments.headroom).resolve())
    if not Path(arguments.triton, "qa", "common", "infer_util.py").exists():
        sys.exit(f"{arguments.triton} is no checkout of triton-inference-server/server: it has no qa/common/infer_util.py")
    if not os.access(arguments.headroom, os.X_OK):
        sys.exit(f"{arguments.headroom} is no program; build it with `swift build -c release` or name one with --headroom")
    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="triton-qa-"))
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty")
    find_onnx_runtime()
    started = time.monotonic()
    runner = Runner(arguments, folder)
    chosen = [
        (index, job) for index, job in enumerate(cases.jobs())
        if not arguments.only or any(text in job.title for text in arguments.only)]
    print(f"{len(chosen)} jobs, {runner.at_once} at a time; logs in {folder}", flush=True)
    results = {}
    with concurrent.futures.ThreadPoolExecutor(runner.at_once) as pool:
        futures = {pool.submit(runner.run, index, job): (index, job) for index, job in chosen}
        for future in concurrent.futures.as_completed(futures):
            index, job = futures[future]
            results[index] = future.result()
            runner.progress(len(chosen), job, results[index])
    again = [] if arguments.no_second_try else [(index, job) for index, job in chosen if failed(results[index])]
    for index, job in again:
        # Many cases measure milliseconds: a failure counts when it also fails alone.
        second = runner.run(index, job, attempt=2)
        print(f"once more, alone: {job.title}: {'FAILED' if failed(second) else 'passed'}", flush=True)
        results[index] = second
    rows = [(job, results[index]) for index, job in chosen]
    page = report.page(rows, arguments, time.monotonic() - started)
    if arguments.report:
        Path(arguments.report).write_text(page)
    print(report.summary(rows))
    sys.exit(1 if report.unexplained(rows) else 0)


if __name__ == "__main__":
    main()
