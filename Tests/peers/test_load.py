"""`headroom load` against its peers: wrk agrees where both are right and differs where a closed loop hides a stall; PyPI's hdrhistogram
reads its logs and writes some for it; a server that notes what came says whether it was sent what was asked for.

Where a figure depends on having a core in time, a run on a busy machine is tried again: three times at most.
"""
import collections
import csv
import json
import math
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from fractions import Fraction

import pytest
from loading import ANSWERS_SCRIPT, Ended, Stub, hinder, infer_request, load, need, nginx, stall, start, start_wrk, wrk_result
from serving import BINARY, add, identity, serve, skip_loudly, until
from test_schemas import check

# Of a request's cycle in the identity models below.
DELAY_MS = 20


@pytest.fixture(scope="module", autouse=True)
def has_load():
    result = subprocess.run([BINARY, "load", "--help"], capture_output=True, text=True, timeout=60)
    if result.returncode != 0 or "--find-rate" not in result.stdout:
        skip_loudly(f"{BINARY} has no `load`")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Identity models: one at a time with a delay, and as fast as it goes."""
    repository = tmp_path_factory.mktemp("load")
    add(repository, "slow", identity("slow", [16], 1, delay_ms=DELAY_MS))
    add(repository, "fast", identity("fast", [16], 8))
    add(repository, "open", identity("open", [-1], 4))
    with serve(repository) as server:
        yield server


def checked(ended, code=0):
    """The document of a --json run: of the published schema, its figures in order."""
    assert ended.code == code, ended
    document = check(ended.out, "load")
    for histogram in (document["latency"], document["latencySinceSend"], document["generator"]["sendLag"]):
        names = ["min", "p50", "p75", "p90", "p95", "p99", "p99_9", "p99_99", "max"]
        figures = [histogram[name + "Microseconds"] for name in names]
        assert histogram["count"] == 0 or figures == sorted(figures), histogram
    assert document["latency"]["count"] == document["answers"]
    assert sum(document["errorsByKind"].values()) == document["errors"]
    return document


def run(*arguments, code=0, **options):
    return checked(load("--json", "--quiet", *arguments, **options), code)


def again(attempt, tries=3):
    """A check that a busy machine may spoil."""
    for number in range(tries):
        try:
            return attempt()
        except AssertionError:
            if number == tries - 1:
                raise


# What was sent.


def test_a_replay_file_is_sent_at_the_times_it_names(tmp_path):
    times = [0, 0.1, 0.1, 0.35, 0.6, 0.6, 0.6, 0.9, 1.2, 1.45]
    (tmp_path / "times").write_text("# seconds since the start\n" + "".join(f"{second}\n" for second in times))

    def attempt():
        with Stub() as stub:
            begin = time.time() + 0.5
            document = run(stub.url, "--replay", tmp_path / "times", "--warmup", 0, "--duration", 1.6, "--start-at", begin)
            late = [arrival - begin - due for arrival, due in zip(stub.arrivals, times, strict=True)]
        assert document["load"] == {"kind": "replay", "arrivals": len(times)} and document["answers"] == len(times)
        assert min(late) > -0.001 and statistics.median(late) < 0.005 and max(late) < 0.05, late

    again(attempt)


def test_steps_and_ramps_deliver_the_profiles_integral():
    """A ramp 0 to 200 in 2 s, 100 for 1 s, 300 for 1 s: 200 + 100 + 300 requests, each stretch its own."""
    def attempt():
        with Stub() as stub:
            begin = time.time() + 0.5
            document = run(stub.url, "--rate", "0-200:2,100:1,300:1", "--warmup", 0, "--duration", 4, "--start-at", begin)
            arrived = [arrival - begin for arrival in stub.arrivals]
        assert document["answers"] == len(arrived) == 600
        # x = 50 t^2 in the ramp: a quarter of its requests in its first half.
        for until_second, wanted in ((1, 50), (2, 200), (3, 300), (4, 600)):
            assert abs(sum(second < until_second for second in arrived) - wanted) <= 3, until_second

    again(attempt)


def test_poisson_arrivals_have_the_variance_of_their_mean():
    """60 stretches of 50 arrivals each: variance over mean is 1 with a deviation of sqrt(2 / 59); of even spacing it is 0."""
    def attempt():
        with Stub() as stub:
            run(stub.url, "--rate", 1000, "--poisson", "--warmup", 0, "--duration", 3, "--seed", 5)
        counts = collections.Counter(int((arrival - stub.arrivals[0]) / 0.05) for arrival in stub.arrivals)
        inner = [counts[stretch] for stretch in range(59)]
        assert 0.4 < statistics.pvariance(inner) / statistics.fmean(inner) < 1.8
        # The count's own deviation is 55.
        assert abs(len(stub.arrivals) - 3000) < 4 * 55

    again(attempt)


@pytest.mark.parametrize("loop", [["--rate", "300", "--poisson"], ["--rate", "100:1,400:1"]], ids=["poisson", "steps"])
def test_two_shares_send_together_what_one_process_sends_alone(loop):
    def arrivals(shares):
        with Stub() as stub:
            begin = time.time() + 0.5
            options = ["--json", "--quiet", stub.url, *loop, "--warmup", 0, "--duration", 1.6, "--seed", 3, "--start-at", begin]
            processes = [start(*options, "--share", share) for share in shares]
            documents = [checked(Ended(process)) for process in processes]
            assert [document["share"] for document in documents] == shares
            assert sum(document["answers"] for document in documents) == len(stub.arrivals)
            return sorted(arrival - begin for arrival in stub.arrivals)

    def attempt():
        alone, together = arrivals(["0/1"]), arrivals(["0/2", "1/2"])
        assert len(alone) == len(together)
        apart = [abs(left - right) for left, right in zip(alone, together)]
        assert statistics.median(apart) < 0.005 and max(apart) < 0.1

    again(attempt)


def test_shares_of_a_closed_loop_split_the_users():
    for share, users in (("0/2", 4), ("1/2", 3)):
        with Stub() as stub:
            document = run(stub.url, "--users", 7, "--spawn-rate", 1000, "--share", share, "--think", "constant:0.05", "--warmup", 0, "--duration", 0.4)
            assert stub.connections == users == document["generator"]["connectionsOpened"]


def test_headers_methods_bodies_and_rows_arrive(server, tmp_path):
    (tmp_path / "body").write_bytes(b"\x00" * 1000)
    seen = []
    with Stub(lambda number, path, body: seen.append((path, body)) or b"ok") as stub:
        run(stub.url + "a/path?x=1", "--body-file", tmp_path / "body", "--warmup", 0, "--duration", 0.2)
    assert set(seen) == {("/a/path?x=1", b"\x00" * 1000)}
    document = run("--model", "fast", "--url", server.http, "--rows", "1-8", "--users", 4, "--warmup", 0, "--duration", 0.5)
    # Uniform from 1 to 8: 4.5 on average.
    assert 4 < document["rowsPerSecond"] / document["requestsPerSecond"] < 5
    run("--model", "open", "--url", server.http, "--shape", "input:12", "--protocol", "json", "--warmup", 0, "--duration", 0.2)


# Whether the figures are right.


@pytest.fixture(scope="module")
def paced(tmp_path_factory, server):
    """Servers that set the pace themselves: nginx that answers after 40 ms, and an identity model of 20 ms at a time."""
    need("wrk", "nginx")
    with nginx(tmp_path_factory.mktemp("nginx"), delay_ms=40) as (address, _):
        head, body = infer_request("input", 16)
        path = tmp_path_factory.mktemp("body") / "body"
        path.write_bytes(body)
        yield {
            "nginx": (f"http://{address}/slow", 64, [f"http://{address}/slow", "--body-file", path]),
            "identity": (f"http://{server.http}/v2/models/slow/infer", 4, ["--model", "slow", "--url", server.http]),
        }


@pytest.mark.parametrize("name", ["nginx", "identity"])
def test_throughput_and_mean_latency_agree_with_wrk(paced, tmp_path, name):
    """Runs take turns, medians of three, within 3 %."""
    url, connections, arguments = paced[name]

    def attempt():
        ours, theirs = [], []
        for _ in range(3):
            result = wrk_result(start_wrk(url, connections, 3, tmp_path))
            assert result["failed"] == 0
            theirs.append((result["requests"] / result["seconds"], result["mean"]))
            document = run(*arguments, "--users", connections, "--spawn-rate", 10_000, "--warmup", 0.5, "--duration", 2.5)
            assert document["errors"] == 0 and document["generator"]["verdict"] == "not-client-bound", document["generator"]
            ours.append((document["requestsPerSecond"], document["latency"]["meanMicroseconds"]))
        for figure in range(2):
            mine, other = (statistics.median(run[figure] for run in runs) for runs in (ours, theirs))
            assert abs(mine / other - 1) < 0.03, (name, figure, ours, theirs)

    again(attempt)


def test_a_stall_is_seen_by_the_open_loop_and_hidden_by_closed_ones(server, tmp_path):
    """The server stands still for a second in the middle of a run. Of an open loop's 4,000 requests 1,000 were due in it. The eight users of
    a closed loop ask once each meanwhile: one answer in a thousand at most. (What wrk prints is not what it saw: it adds what its users would
    have asked.)"""
    need("wrk")
    url = f"http://{server.http}/v2/models/fast/infer"
    model = ["--json", "--quiet", "--model", "fast", "--url", server.http, "--duration", 4, "--warmup", 0]

    def stalled(*processes):
        """Once the runs are well under way."""
        before = answered(server, "fast")
        assert until(lambda: answered(server, "fast") > before + 1000)
        stall(server.process.pid, 1)
        return processes

    free, few = map(checked, map(Ended, stalled(start(*model, "--rate", 1000), start(*model, "--rate", 1000, "--max-connections", 8))))
    ours, theirs = stalled(
        start(*model, "--users", 8, "--spawn-rate", 1000), start_wrk(url, 8, 4, tmp_path, threads=8, script=ANSWERS_SCRIPT))
    users, wrk = checked(Ended(ours)), wrk_result(theirs)["percentiles"]
    for document in (free, few):
        assert document["answers"] == 4000
        assert document["latency"]["p90Microseconds"] > 500_000 and document["latency"]["p99_9Microseconds"] > 900_000
    # A generator that counts from the send forgets the wait for one of the eight connections.
    assert few["latencySinceSend"]["p99Microseconds"] < 100_000 and few["generator"]["verdict"] == "server-behind"
    assert users["latency"]["p99Microseconds"] < 100_000 and users["latency"]["maxMicroseconds"] > 900_000
    assert wrk["99"]["answers"] < 100_000 and wrk["100"]["answers"] > 900_000


def answered(server, model):
    return int(json.loads(server.get(f"/v2/models/{model}/stats").body)["model_stats"][0]["inference_stats"]["success"]["count"])


def test_find_rate_finds_what_the_model_can_do(server):
    """One request at a time, 20 ms each; the closed loop tells what that comes to here."""
    options = ["--model", "slow", "--url", server.http]

    def attempt():
        capacity = run(*options, "--users", 3, "--warmup", 0.2, "--duration", 2)["requestsPerSecond"]
        assert capacity < 1000 / DELAY_MS
        document = run(*options, "--find-rate", "p99<200ms", "--rate", 30, "--warmup", 0.2, "--duration", 2.5)
        search = document["search"]
        assert 0.8 * capacity < search["bestRequestsPerSecond"] < 1.06 * capacity, (capacity, search)
        assert all(trial["holds"] == (trial["rate"] <= search["bestRequestsPerSecond"]) for trial in search["trials"])
        # The document is the best trial's.
        assert document["latency"]["p99Microseconds"] < 200_000

    again(attempt)


@pytest.mark.parametrize("scenario, words", [
    ("single-stream", "MLPerf SingleStream: 90th percentile"), ("multi-stream", "MLPerf MultiStream: 99th percentile of a query"),
    ("server", "MLPerf Server: 99th percentile"), ("offline", "MLPerf Offline: ")])
def test_the_mlperf_scenarios(server, scenario, words):
    rate = ["--rate", 200] if scenario == "server" else []
    ended = load("--model", "fast", "--url", server.http, "--scenario", scenario, *rate, "--warmup", 0.2, "--duration", 1, "--quiet")
    assert ended.code == 0 and words in ended.out, ended
    document = run("--model", "fast", "--url", server.http, "--scenario", scenario, *rate, "--warmup", 0.2, "--duration", 1)
    rows = document["rowsPerSecond"] / document["requestsPerSecond"]
    assert rows == pytest.approx(8 if scenario == "multi-stream" else 1)
    assert document["load"]["kind"] == ("open" if scenario == "server" else "closed")


# Its own health.


def test_a_generator_that_is_held_up_says_so_and_one_that_is_not_does_not():
    """Stopped for 50 ms of every 100 it sends half of its requests late; the same rate unhindered sends none."""
    with Stub() as stub:
        options = ["--json", "--quiet", stub.url, "--rate", 500, "--warmup", 0.5, "--duration", 2, "--late-after-ms", 10]
        process = start(*options)
        hinder(process, stopped=0.05, running=0.05)
        held = checked(Ended(process))["generator"]
        assert held["verdict"] == "client-bound" and "late though connections were free" in held["words"], held
        assert held["lateShare"] > 0.1

        def attempt():
            # Where it may, ahead of whoever else uses this machine.
            free = checked(load(*options, before=["nice", "-n", "-15"]))["generator"]
            assert free["verdict"] == "not-client-bound" and free["lateShare"] < 0.01, free

        again(attempt)


def test_users_whose_generator_waits_for_a_core_are_not_believed(server):
    """A busy loop has the core that the generator may use. Nothing is late in a closed loop: answers lie unread."""
    need("taskset")
    core = str(min(os.sched_getaffinity(0)))
    with subprocess.Popen(["taskset", "-c", core, sys.executable, "-c", "while True: pass"]) as busy:
        try:
            process = start("--json", "--quiet", "--model", "fast", "--url", server.http, "--users", 8, "--spawn-rate", 1000, "--warmup", 0.5,
                            "--duration", 2, before=["taskset", "-c", core, "nice", "-n", "10"])
            generator = checked(Ended(process))["generator"]
        finally:
            busy.kill()
    assert generator["verdict"] == "client-bound" and "answers lay unread" in generator["words"], generator
    assert generator["busiestThreadShare"] < 0.9


def test_a_server_that_cannot_keep_up_is_not_called_the_clients_fault(server):
    generator = run("--model", "slow", "--url", server.http, "--rate", 200, "--max-connections", 4, "--warmup", 0.2, "--duration", 1.5)["generator"]
    assert generator["verdict"] == "server-behind" and generator["reachedConnectionLimit"], generator
    assert "every connection waited for an answer" in generator["words"]


# HdrHistogram logs.


@pytest.fixture(scope="module")
def hdrh():
    try:
        import hdrh.histogram
        import hdrh.log
    except ImportError:
        skip_loudly("PyPI's hdrhistogram is not installed")
    return hdrh


PERCENTILES = {"p50": 50, "p75": 75, "p90": 90, "p95": 95, "p99": 99, "p99_9": 99.9, "p99_99": 99.99}
HOUR = 3_600_000_000_000


def decoded(hdrh, path):
    """A log's histograms added up, by tag."""
    sums = {}
    reader = hdrh.log.HistogramLogReader(str(path), hdrh.histogram.HdrHistogram(1, HOUR, 3))
    while (interval := reader.get_next_interval_histogram()) is not None:
        sums.setdefault(interval.get_tag(), hdrh.histogram.HdrHistogram(1, HOUR, 3)).add(interval)
    return sums


def counts(histogram):
    return {item.value_iterated_to: item.count_added_in_this_iter_step for item in histogram.get_recorded_iterator()}


def agree(theirs, ours):
    """Nearest ranks of the same buckets. The package itself rounds ranks to the nearest, so its value may be a neighbour's."""
    total = theirs.get_total_count()
    assert total == ours["count"]
    for name, percentile in PERCENTILES.items():
        rank, seen = math.ceil(Fraction(str(percentile)) * total / 100), 0
        for value, count in counts(theirs).items():
            seen += count
            if seen >= rank:
                break
        mine = ours[name + "Microseconds"] * 1000
        assert mine == pytest.approx(min(value, ours["maxMicroseconds"] * 1000), abs=1), name
        low, high = (theirs.get_value_at_percentile(percentile + 100 * step / total) for step in (-1, 1))
        assert low * 0.999 <= mine <= high * 1.001, name
    assert theirs.get_mean_value() / 1000 == pytest.approx(ours["meanMicroseconds"], rel=1e-3)
    # Extremes of a log are those of their buckets.
    assert theirs.get_max_value() / 1000 == pytest.approx(ours["maxMicroseconds"], rel=1e-3)


@pytest.fixture(scope="module")
def logs(server, tmp_path_factory):
    """Two runs' documents and logs."""
    folder, documents = tmp_path_factory.mktemp("logs"), []
    for name, rate in (("a", 300), ("b", 700)):
        documents.append(run(
            "--model", "fast", "--url", server.http, "--rate", rate, "--poisson", "--warmup", 0.3, "--duration", 2.2, "--hdr-log", folder / name))
    return folder, documents


def test_hdrhistogram_reads_our_logs(hdrh, logs):
    folder, documents = logs
    for name, document in zip("ab", documents):
        sums = decoded(hdrh, folder / name)
        assert set(sums) == {None, "uncorrected"}
        agree(sums[None], document["latency"])
        agree(sums["uncorrected"], document["latencySinceSend"])
        # A line a second and kind: intervals as the window has them.
        lines = [line for line in (folder / name).read_text().splitlines() if re.match(r"\d", line)]
        assert 3 <= len(lines) <= 4


def test_merged_logs_are_the_exact_sum(hdrh, logs):
    folder, documents = logs
    merged = check(load("merge", folder / "a", folder / "b", "--json").out, "load-merge")
    values = {entry["tag"]: entry["values"] for entry in merged["histograms"]}
    left, right = decoded(hdrh, folder / "a"), decoded(hdrh, folder / "b")
    for tag in (None, "uncorrected"):
        added = collections.Counter(counts(left[tag])) + collections.Counter(counts(right[tag]))
        left[tag].add(right[tag])
        assert counts(left[tag]) == added
        agree(left[tag], values[tag])
    assert values[None]["count"] == sum(document["answers"] for document in documents)
    # In whatever order.
    assert check(load("merge", folder / "b", folder / "a", "--json").out, "load-merge")["histograms"] == merged["histograms"]
    text = load("merge", folder / "a", folder / "b").out
    assert f"{values[None]['count']:,} values of 2 files" in text


def test_we_read_logs_that_hdrhistogram_wrote(hdrh, tmp_path):
    whole = hdrh.histogram.HdrHistogram(1, HOUR, 3)
    with open(tmp_path / "theirs.hlog", "w") as file:
        writer = hdrh.log.HistogramLogWriter(file)
        writer.output_log_format_version()
        writer.output_comment("[a comment]")
        writer.output_legend()
        for second in range(1, 4):
            part = hdrh.histogram.HdrHistogram(1, HOUR, 3)
            for number in range(1000):
                part.record_value(second * 100_000 + number * number * 37)
            whole.add(part)
            writer.output_interval_histogram(part, second, second + 1)
    ended = load("merge", tmp_path / "theirs.hlog", "--json")
    assert ended.code == 0, ended
    [only] = check(ended.out, "load-merge")["histograms"]
    assert only["tag"] is None
    agree(whole, only["values"])


def test_broken_logs_are_named_with_their_line(logs, tmp_path):
    text = (logs[0] / "a").read_text().splitlines()
    (tmp_path / "cut").write_text("\n".join([*text[:-1], text[-1][:-20]]))
    for path, words in ((tmp_path / "cut", f"line {len(text)}"), (tmp_path / "none", "No such file"), (os.devnull, "no histogram")):
        ended = load("merge", path)
        assert ended.code == 1 and str(path) in ended.error and words in ended.error, ended


# Ends.


def test_fail_on_that_comes_true_is_2(server):
    options = ["--model", "fast", "--url", server.http, "--users", 2, "--warmup", 0, "--duration", 0.5]
    document = run(*options, "--fail-on", "p99>10s", "--fail-on", "errors>0", "--fail-on", "rps<1")
    assert [entry["met"] for entry in document["failOn"]] == [False] * 3
    document = run(*options, "--fail-on", "p50>1us", "--fail-on", "errors>0", "--fail-on", "rps<1e9".replace("1e9", "1000000000"), code=2)
    assert [entry["met"] for entry in document["failOn"]] == [True, False, True]
    ended = load(*options, "--fail-on", "mean>1us")
    assert ended.code == 2 and "FAILED  --fail-on 'mean>1us'" in ended.out


def test_no_server_is_1_and_names_host_and_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        # Bound and not listening: refused, and nobody else's.
        for arguments in (["--model", "fast", "--url", address], [f"http://{address}/", "--duration", 0.3, "--warmup", 0]):
            ended = load(*arguments, "--quiet")
            assert ended.code == 1 and address in ended.error, ended
        assert f"no good answer from {address}: connect " in ended.error


def test_a_model_that_is_not_there_is_1_and_is_named(server):
    ended = load("--model", "nonesuch", "--url", server.http)
    assert ended.code == 1 and "nonesuch" in ended.error and "status 40" in ended.error, ended


@pytest.mark.parametrize("arguments, words", [
    ([], "give a URL, or --model"),
    (["http://x/", "--model", "m"], "not both"),
    (["ftp://x/"], "http://HOST:PORT/PATH"),
    (["https://x/"], "TLS"),
    (["http://x/", "--users", "4", "--rate", "10"], "give one of them"),
    (["http://x/", "--users", "0"], "from 1 to 1000000"),
    (["http://x/", "--rate", "many"], "0-1000:30"),
    (["http://x/", "--think", "long"], "uniform:0.1,0.5"),
    (["http://x/", "--share", "2/2"], "0/4 to 3/4"),
    (["http://x/", "--fail-on", "p99>50"], "p99>50ms"),
    (["http://x/", "--duration", "-1"], "--duration"),
    (["--model", "m", "--rows", "0"], "1-16"),
    (["--model", "m", "--scenario", "server"], "--rate"),
    (["merge"], "at least one"),
    (["http://x/", "--nonsense"], "--nonsense"),
])
def test_wrong_usage_is_64_and_says_what_to_do(arguments, words):
    ended = load(*arguments)
    assert ended.code == 64 and words in " ".join(ended.error.split()), ended


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_prints_its_report_and_is_130(sent):
    with Stub() as stub:
        process = start("--json", "--quiet", stub.url, "--rate", 200, "--warmup", 0, "--duration", 3600)
        assert until(lambda: len(stub.arrivals) > 100)
        process.send_signal(sent)
        document = checked(Ended(process, 10), code=130)
    assert document["interrupted"] and document["answers"] == len(stub.arrivals)
    assert 0.3 < document["windowSeconds"] < 10


def test_a_second_interrupt_does_not_wait_for_answers(server):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        process = start(f"http://127.0.0.1:{silent.getsockname()[1]}/", "--users", 3, "--timeout", 600, "--duration", 600)
        accepted = [silent.accept()[0] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        ended = Ended(process, 10)
        for connection in accepted:
            connection.close()
    assert ended.code == 130 and "interrupted" in ended.out, ended


# Files.


def test_csv_files_have_locusts_columns(tmp_path):
    """locustio/locust `locust/stats.py`: StatsCSV."""
    percentiles = ["50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"]
    with Stub(lambda number, path, body: (503, {}, b"") if number % 10 == 9 else b"ok") as stub:
        document = run(stub.url, "--rate", 200, "--warmup", 0, "--duration", 3, "--csv", tmp_path / "p")
        assert document["answers"] + document["errors"] == len(stub.arrivals) == 600
    rows = {name: list(csv.reader((tmp_path / f"p_{name}.csv").open())) for name in ("stats", "stats_history", "failures")}
    assert rows["stats"][0] == [
        "Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time", "Min Response Time",
        "Max Response Time", "Average Content Size", "Requests/s", "Failures/s", *percentiles]
    assert rows["stats_history"][0] == [
        "Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s", *percentiles, "Total Request Count", "Total Failure Count",
        "Total Median Response Time", "Total Average Response Time", "Total Min Response Time", "Total Max Response Time",
        "Total Average Content Size"]
    assert rows["failures"][0] == ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"]
    assert len({len(row) for row in rows["stats"]}) == len({len(row) for row in rows["stats_history"]}) == 1
    of_all = dict(zip(rows["stats"][0], rows["stats"][-1]))
    assert of_all["Name"] == "Aggregated" and of_all["Request Count"] == "600" and of_all["Failure Count"] == "60"
    assert float(of_all["99%"]) == pytest.approx(document["latency"]["p99Microseconds"] / 1000, abs=0.001)
    assert float(of_all["100%"]) == float(of_all["Max Response Time"])
    assert [row[2:4] for row in rows["failures"][1:]] == [["status 5xx", "60"]]
    assert len(rows["stats_history"]) == 1 + 3


# Answers that are wrong.


class Model:
    """A KServe v2 server of one model `m`, 4 floats in and out, that goes wrong from its `good`th answer on, every `every`th time."""

    def __init__(self, wrong, good=200, every=5):
        self.wrong, self.good, self.every, self.inferences, self.spoiled = wrong, good, every, 0, 0

    def __call__(self, number, path, body):
        if path == "/v2/models/m":
            tensor = {"datatype": "FP32", "shape": [-1, 4]}
            return json.dumps({"name": "m", "inputs": [{"name": "x", **tensor}], "outputs": [{"name": "y", **tensor}]}).encode()
        if path == "/v2/models/m/config":
            return json.dumps({"max_batch_size": 8}).encode()
        if path != "/v2/models/m/infer":
            return 404, {}, b"{}"
        self.inferences += 1
        _, length = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        values = list(struct.unpack(f"<{(len(body) - length) // 4}f", body[length:]))
        shape = [len(values) // 4, 4]
        if self.inferences > self.good and self.inferences % self.every == 0:
            self.spoiled += 1
            if self.wrong == "values":
                values[-1] += 0.5
            else:
                shape = [len(values) // 4 * 2, 2]
        head = json.dumps({"outputs": [{
            "name": "y", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": 4 * len(values)}}]}).encode()
        return 200, {"Inference-Header-Content-Length": len(head)}, head + struct.pack(f"<{len(values)}f", *values)


@pytest.mark.parametrize("wrong, arguments, noticed", [
    ("values", ["--verify"], True), ("values", [], False), ("shape", ["--verify"], True), ("shape", [], True), (None, ["--verify"], False)],
    ids=["values", "values without --verify", "shape", "shape without --verify", "right"])
def test_verify_notices_wrong_answers_each_of_them(wrong, arguments, noticed):
    model = Model(wrong or "values", good=200 if wrong else 10**9)
    with Stub(model) as stub:
        document = run("--model", "m", "--url", stub.address, "--rate", 500, "--rows", 2, "--warmup", 0, "--duration", 1, *arguments)
    assert document["answers"] + document["errors"] == 500
    assert document["errorsByKind"] == ({wrong: model.spoiled} if noticed else {})
    assert model.spoiled == 0 or model.spoiled > 50
