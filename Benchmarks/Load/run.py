#!/usr/bin/env python3
"""The limits of the load generator: its CPU per request beside wrk's, its memory with 10,000 users, how late it sends at 20,000 requests/s.

    Benchmarks/Load/run.py [--seconds 6] [--rounds 3] [--only cpu,checked,users,lag] [--own-cores] [--quiet-within MINUTES] [--output FOLDER]

Needs wrk and nginx from Debian. The server is nginx's `return 200`, in the case "checked" our own; a request is a KServe v2 body of one row of
16 floats in binary. Prints a Markdown table.

--own-cores (root, two cores or more) gives server and generators a core each before everybody else's work (SCHED_FIFO), which is what an idle
machine is; others may then work as they like.

CPU is user + system time of the whole process over its requests. Foreign is what others used of the machine meanwhile, in percent of one
core (the machine's time is sampled: below zero is none): above 12 a row is contended and not to be quoted. A case is measured again, for --quiet-within minutes at most, until it is not; the
quietest measurement is kept.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import resource
import shutil
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
specification = importlib.util.spec_from_file_location("serving_benchmark", ROOT / "Benchmarks/Serving/run.py")
serving_benchmark = importlib.util.module_from_spec(specification)
specification.loader.exec_module(serving_benchmark)
loading = serving_benchmark.loading
import serving  # noqa: E402

FOREIGN_LIMIT = 12
# In front of wrk's and our command: --own-cores fills it.
BEFORE = []
USERS = 10_000
RATE = 20_000


def request(folder):
    """Arguments that make `headroom load` send what wrk sends."""
    head, body = loading.infer_request("input", 16)
    path = folder / "body"
    path.write_bytes(body)
    return ["--body-file", path, "--header", "Content-Type: application/octet-stream", "--header",
            f"Inference-Header-Content-Length: {len(head)}"]


def headroom(url, folder, seconds, *arguments):
    return generate(seconds, url, *request(folder), *arguments)


def generate(seconds, *arguments):
    """A run without a warm-up, so that its CPU is that of the requests it counts. Also its peak memory."""
    command = ["--json", "--quiet", "--warmup", 0, "--duration", seconds, *arguments]
    process = loading.start(*command, before=BEFORE)
    text, said = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    document = json.loads(text)
    return {"requests": document["responsesInWindow"], "seconds": document["windowSeconds"], "failed": document["errors"],
            "p99": document["latency"]["p99Microseconds"] / 1000, "megabytes": usage.ru_maxrss * 1024 / 1e6, "document": document}


def wrk(url, folder, seconds):
    return loading.wrk_result(loading.start_wrk(url, 64, seconds, folder, before=BEFORE))


def cpu(target, folder, seconds, rounds):
    """wrk and we in turn, 64 connections each."""
    url = f"http://{target.http}/"
    ours = lambda: headroom(url, folder, seconds, "--users", 64, "--spawn-rate", 100_000)  # noqa: E731
    return beside_wrk("CPU per request, 64 users", target, url, ours, folder, seconds, rounds)


def checked(_, folder, seconds, rounds):
    """The same against our server, which copies; every answer's shapes are checked, which wrk does not."""
    repository = folder / "models"
    if not repository.exists():
        serving.add(repository, "copy", serving.identity("copy", [16], 8))
    with serving.serve(repository) as server:
        own_core(server.process.pid, 0)
        target = serving_benchmark.Target("headroom", server.http, server.grpc, lambda: serving_benchmark.family(server.process.pid))
        arguments = ["--model", "copy", "--url", server.http, "--users", 64, "--spawn-rate", 100_000]
        ours = lambda: generate(seconds, *arguments)  # noqa: E731
        url = f"http://{server.http}/v2/models/copy/infer"
        return beside_wrk("the same against our server, shapes checked", target, url, ours, folder, seconds, rounds)


def beside_wrk(case, target, url, ours, folder, seconds, rounds):
    runs = {"wrk": [], "headroom load": []}
    for _ in range(rounds):
        runs["wrk"].append(serving_benchmark.measured(target, lambda: wrk(url, folder, seconds)))
        runs["headroom load"].append(serving_benchmark.measured(target, ours))
    median = lambda name, key: statistics.median(run[key] for run in runs[name])  # noqa: E731
    share = median("headroom load", "clientMicroseconds") / median("wrk", "clientMicroseconds")
    figures = [f"{name} {median(name, 'clientMicroseconds'):.2f} us at {median(name, 'requestsPerSecond'):,.0f}/s" for name in runs]
    return {
        "case": case, "figure": f"{share:.2f} times wrk's", "limit": "1.5 times", "within": share <= 1.5,
        "words": "; ".join(figures), "share": share,
        "foreignPercent": max(run["foreignPercent"] for found in runs.values() for run in found)}


def users(target, folder, seconds, rounds):
    """So many users that think ten seconds on average; they start within two."""
    url = f"http://{target.http}/"
    arguments = ["--users", USERS, "--spawn-rate", USERS / 2, "--think", "exponential:10"]
    runs = [serving_benchmark.measured(target, lambda: headroom(url, folder, seconds + 3, *arguments)) for _ in range(rounds)]
    worst = max(runs, key=lambda run: run["megabytes"])
    there = worst["document"]["intervals"][-1]["connections"]
    assert there == USERS and all(run["failed"] == 0 for run in runs), worst
    return {
        "case": f"memory of {USERS:,} users", "figure": f"{worst['megabytes']:.0f} MB", "limit": "300 MB", "within": worst["megabytes"] <= 300,
        "words": f"{there:,} connections, {worst['requestsPerSecond']:,.0f}/s, p99 {worst['p99']:.2f} ms; the largest of {rounds} runs",
        "megabytes": worst["megabytes"], "foreignPercent": max(run["foreignPercent"] for run in runs)}


def lag(target, folder, seconds, rounds):
    """How late requests are written."""
    url = f"http://{target.http}/"
    runs = [serving_benchmark.measured(target, lambda: headroom(url, folder, seconds, "--rate", RATE)) for _ in range(rounds)]
    lags = sorted(run["document"]["generator"]["sendLag"]["p99Microseconds"] for run in runs)
    median = statistics.median(lags)
    middle = min(runs, key=lambda run: abs(run["document"]["generator"]["sendLag"]["p99Microseconds"] - median))
    health = middle["document"]["generator"]
    return {
        "case": f"send lag at {RATE:,} requests/s, open loop", "figure": f"p99 {median:.0f} us", "limit": "200 us", "within": median <= 200,
        "words": f"of {rounds} runs {', '.join(f'{value:.0f}' for value in lags)} us; p50 {health['sendLag']['p50Microseconds']:.1f} us, "
                 f"thread at {100 * health['busiestThreadShare']:.0f} % of a core, {middle['requestsPerSecond']:,.0f}/s",
        "microseconds": median, "foreignPercent": max(run["foreignPercent"] for run in runs)}


CASES = {"cpu": cpu, "checked": checked, "users": users, "lag": lag}


def own_core(process_id, core):
    """That process and its children before all others, on one core."""
    if not BEFORE:
        return
    def workers():
        return pathlib.Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    # nginx listens before it has its worker.
    children = serving.until(workers, 1)
    threads = [int(thread) for number in (process_id, *children) for thread in os.listdir(f"/proc/{number}/task")]
    for thread in threads:
        os.sched_setaffinity(thread, {core})
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(20))


def foreign(seconds=0.5):
    """What others use of the machine right now, in percent of a core, while we and our servers do nothing."""
    before = serving_benchmark.machine_cpu()
    time.sleep(seconds)
    return 100 * (serving_benchmark.machine_cpu() - before) / seconds


def quietest(case, target, folder, options):
    """The first measurement without foreign load, or the one with the least."""
    end, best = time.monotonic() + 60 * options.quiet_within, None
    while True:
        while not BEFORE and foreign() > FOREIGN_LIMIT and time.monotonic() < end:
            pass
        row = CASES[case](target, folder, options.seconds, options.rounds)
        print(f"{row['case']}: {row['figure']}; {row['words']}; foreign {max(0, row['foreignPercent']):.0f} %", file=sys.stderr, flush=True)
        if best is None or row["foreignPercent"] < best["foreignPercent"]:
            best = row
        if BEFORE or best["foreignPercent"] <= FOREIGN_LIMIT or time.monotonic() >= end:
            return best


def table(rows):
    lines = ["| | figure | limit | how | foreign % |", "|---|---|---|---|---|"]
    for row in rows:
        remark = " (contended)" if row["foreignPercent"] > FOREIGN_LIMIT and not BEFORE else ""
        mark = "" if row["within"] else "**"
        lines.append(f"| {row['case']}{remark} | {mark}{row['figure']}{mark} | {row['limit']} | {row['words']} | {max(0, row['foreignPercent']):.0f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--own-cores", action="store_true", help="a core each for server and generators, before everybody else")
    parser.add_argument("--quiet-within", type=float, default=0, help="minutes a case is tried again while others use the machine")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    if options.own_cores:
        if os.cpu_count() < 2:
            sys.exit("--own-cores needs two cores")
        BEFORE.extend(["chrt", "-f", "20", "taskset", "-c", "1"])
    missing = [tool for tool in ("wrk", "nginx") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; apt-get install wrk nginx-light")
    cases = [case for case in options.only.split(",") if case]
    if unknown := set(cases) - set(CASES):
        sys.exit(f"unknown cases {sorted(unknown)}; there are {', '.join(CASES)}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65_536, hard))
    with tempfile.TemporaryDirectory(prefix="headroom-load-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        with loading.nginx(folder / "nginx") as (address, process):
            own_core(process.pid, 0)
            target = serving_benchmark.Target("nginx", address, None, lambda: serving_benchmark.family(process.pid))
            rows = [quietest(case, target, folder, options) for case in cases]
    text = table(rows)
    print(text)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "load.md").write_text(text)
        (options.output / "load.json").write_text(json.dumps({"schema": "headroom.benchmark-load/1", "rows": rows}, indent=1) + "\n")
    sys.exit(0 if all(row["within"] for row in rows) else 1)


if __name__ == "__main__":
    main()
