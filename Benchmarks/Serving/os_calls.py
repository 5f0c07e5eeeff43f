#!/usr/bin/env python3
"""What `headroom profile --os` costs the server: identity over HTTP with and without it, in turn, both servers up all the time.

    Benchmarks/Serving/os_calls.py [--seconds 6] [--pairs 7] [--case identity|document-closed|linear]

Prints each pair and the median of the pairs' ratios. The order within a pair alternates. Each pair begins once the machine is idle, and
counts if others used no more than --foreign percent of a core meanwhile; after --patience seconds the pairs so far are what there is.
Needs wrk.
"""
import argparse
import contextlib
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import run
import serving

BINARY = serving.BINARY


@contextlib.contextmanager
def server(models, wrapper=None):
    serving.BINARY = str(wrapper or BINARY)
    started = serving.Server(models)
    serving.BINARY = BINARY
    try:
        yield run.Target("recorded" if wrapper else "plain", started.http, started.grpc, lambda: run.family(started.process.pid))
    finally:
        started.terminate()


def is_idle(percent):
    """Whether others use less than that of a core now, looked at for a second."""
    before, start = run.machine_cpu(), time.monotonic()
    time.sleep(1)
    return 100 * (run.machine_cpu() - before) / (time.monotonic() - start) <= percent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--case", default="identity")
    parser.add_argument("--foreign", type=float, default=12)
    parser.add_argument("--patience", type=float, default=500)
    parser.add_argument("--profile-options", default="--os-limit-megabytes 4096")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headroom-os-calls-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        (folder / "models").mkdir()
        run.repository(folder / "models")
        trace = folder / "trace.sqlite"
        wrapper = folder / "recorded"
        wrapper.write_text(f"#!/bin/sh\nexec {shlex.quote(BINARY)} profile --os --json {options.profile_options} -o {trace} -- "
                           f"{shlex.quote(BINARY)} \"$@\" > {folder}/profile.json\n")
        wrapper.chmod(0o755)
        ratios, microseconds = [], []
        with contextlib.ExitStack() as servers:
            plain = servers.enter_context(server(folder / "models"))
            recorded = servers.enter_context(server(folder / "models", wrapper))
            for target in (plain, recorded):
                run.client(options.case, target, 2, folder)()
            end = time.monotonic() + options.patience
            while time.monotonic() < end:
                if not is_idle(options.foreign):
                    continue
                order = (plain, recorded) if len(ratios) % 2 == 0 else (recorded, plain)
                result = {}
                for target in order:
                    result[target.name] = run.measured(target, run.client(options.case, target, options.seconds, folder))
                    if result[target.name]["foreignPercent"] > options.foreign:
                        break
                if len(result) < 2 or max(one["foreignPercent"] for one in result.values()) > options.foreign:
                    continue
                ratios.append(result["recorded"]["requestsPerSecond"] / result["plain"]["requestsPerSecond"])
                microseconds.append(result["recorded"]["serverMicroseconds"] - result["plain"]["serverMicroseconds"])
                print(f"pair {len(ratios)}: " + ", ".join(
                    f"{which} {one['requestsPerSecond']:,.0f}/s {one['serverMicroseconds']:.2f} us (foreign {one['foreignPercent']:.0f} %)"
                    for which, one in result.items()) + f": {100 * (1 - ratios[-1]):+.1f} % less", file=sys.stderr, flush=True)
                if len(ratios) >= options.pairs:
                    break
        if not ratios:
            sys.exit("no pair was undisturbed; try again later, or raise --foreign")
        document = json.loads((folder / "profile.json").read_text())
        calls = document["recordedCalls"] + document["belowThresholdCalls"]
        print(f"throughput: {100 * (1 - statistics.median(ratios)):.1f} % less (median of {len(ratios)} pairs; "
              f"{100 * (1 - max(ratios)):.1f} to {100 * (1 - min(ratios)):.1f} %), server CPU per request "
              f"{statistics.median(microseconds):+.2f} us; {document['recordedCalls']:,} calls recorded, {document['belowThresholdCalls']:,} shorter, "
              f"{document['droppedCalls']:,} dropped")
        for row in document["osRuntime"][:6]:
            print(f"  {row['name']}: {row['count']:,} calls, median {row['medianNanoseconds'] / 1000:.2f} us")
        assert calls > 0


if __name__ == "__main__":
    main()
