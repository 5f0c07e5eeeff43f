#!/usr/bin/env python3
"""One load run by tasks of a Ray cluster: each sends its share of the same schedule, from the same instant; the parts are then one run or none.

    python Examples/load_ray.py --tasks 4 --address auto -- --model seqlen --url server:8000 --rate 40000 --poisson --duration 60

What follows -- goes to `headroom load`, which every node must have (--program: where). Tasks are spread over the nodes, a core each, and are
not tried again: a part that is sent twice is another run. The parts stay in --folder. Exit code: that of `headroom load merge`.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import ray


@ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")
def part(program, arguments, share, start):
    """Runs a share here and gives its part's text; None where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "part.hlog"
        command = [program, "load", *arguments, "--share", share, "--start-at", str(start), "--quiet", "--hdr-log", str(path)]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode not in (0, 2):
            print(f"share {share} ended with {ended.returncode}: {ended.stderr.strip()}", file=sys.stderr)
        return path.read_text() if path.exists() else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="auto", help="of the Ray cluster")
    parser.add_argument("--tasks", type=int, help="default: one a node")
    parser.add_argument("--program", default="headroom")
    parser.add_argument("--lead", type=float, default=10, help="seconds until the run starts: enough for every task to be launched")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("load-parts"), help="where the parts go")
    parser.add_argument("arguments", nargs="+", help="of `headroom load`, after --")
    options = parser.parse_args()
    ray.init(address=options.address, log_to_driver=True)
    tasks = options.tasks or sum(node["Alive"] for node in ray.nodes())
    start = time.time() + options.lead
    running = [part.remote(options.program, options.arguments, f"{number}/{tasks}", start) for number in range(tasks)]
    options.folder.mkdir(parents=True, exist_ok=True)
    # What an earlier run left must not be merged.
    for old in options.folder.glob("part-*.hlog"):
        old.unlink()
    paths = []
    for number, reference in enumerate(running):
        try:
            text = ray.get(reference)
        except ray.exceptions.RayError as error:
            why = getattr(error, "cause", None) or str(error).splitlines()[0]
            print(f"share {number}/{tasks} was lost: {why}", file=sys.stderr)
            continue
        if text:
            paths.append(options.folder / f"part-{number}.hlog")
            paths[-1].write_text(text)
    if not paths:
        sys.exit("no share of the run came back")
    sys.exit(subprocess.run([options.program, "load", "merge", *map(str, paths)]).returncode)


if __name__ == "__main__":
    main()
