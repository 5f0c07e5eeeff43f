#!/usr/bin/env python3
"""Two builds of the program beside each other: what a change costs or saves on the serving path.

    Benchmarks/Serving/compare.py --before PROGRAM [--after PROGRAM] [--cases identity,grpc,document-closed,linear] [--seconds 5] [--pairs 10]

Both servers are up all the time; within a pair the order alternates. Prints, a case, the median of the pairs' ratios after / before of requests
per second and of server CPU per request, each with a 95 % interval (the median's own, from the order statistics: Hahn and Meeker,
"Statistical Intervals", 5.2). Engines run in this process. Needs wrk, and h2load for gRPC.
"""
import argparse
import contextlib
import math
import os
import pathlib
import statistics
import sys
import tempfile

import run
import serving


def interval(values):
    """A distribution-free 95 % interval of the median: the widest ranks whose binomial tail is at most 2.5 % on each side."""
    ordered, count = sorted(values), len(values)
    rank, tail = 0, 0.0
    while rank < count // 2:
        tail += math.comb(count, rank) / 2**count
        if tail > 0.025:
            break
        rank += 1
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[count - rank]


def server(binary, models, name):
    @contextlib.contextmanager
    def started():
        serving.BINARY = binary
        process = serving.Server(models)
        try:
            yield run.Target(name, process.http, process.grpc, lambda: run.family(process.process.pid))
        finally:
            process.terminate()

    return started()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True)
    parser.add_argument("--after", default=os.environ["HEADROOM_BINARY"])
    parser.add_argument("--cases", default="identity,grpc,document-closed,linear")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    print("| case | requests/s before | after | ratio (95 %) | server us per request before | after | ratio (95 %) | foreign % at most |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="headroom-compare-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        (folder / "models").mkdir()
        run.repository(folder / "models")
        targets = [stack.enter_context(server(binary, folder / "models", which))
                   for which, binary in (("before", options.before), ("after", options.after))]
        for case in options.cases.split(","):
            for target in targets:
                run.client(case, target, 2, folder)()
            pairs = []
            for pair in range(options.pairs):
                order = targets if pair % 2 == 0 else targets[::-1]
                pairs.append({target.name: run.measured(target, run.client(case, target, options.seconds, folder)) for target in order})
                print(f"{case}: pair {pair + 1} of {options.pairs}", file=sys.stderr, flush=True)
            assert all(one["failed"] == 0 for pair in pairs for one in pair.values()), "requests failed"
            row = [run.CASES[case]]
            for key, digits in (("requestsPerSecond", 0), ("serverMicroseconds", 2)):
                ratios = [pair["after"][key] / pair["before"][key] for pair in pairs]
                low, high = interval(ratios)
                row += [f"{statistics.median(pair[which][key] for pair in pairs):,.{digits}f}" for which in ("before", "after")]
                row.append(f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})")
            row.append(f"{max(one['foreignPercent'] for pair in pairs for one in pair.values()):.0f}")
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
