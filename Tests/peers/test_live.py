"""`GET /v2/headroom` and the page `/headroom`: figures that add up, verdicts that fit the load, a page that draws them in Chromium."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

import geometry
import jsonschema
import pytest
from serving import X, add, cpu_share, exchange, identity, infer_body, read_answer, request, serve, skip_loudly

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "Docs/schemas/live.json").read_text())
BATCHING = "dynamic_batching { max_queue_delay_microseconds: 1000 }\n"
MARKUP = "<script>alert(1)<b>"
# A reason why a change is not quantified, as Docs/live.md lists it.
DOCUMENTED = re.compile(r"^\| `(not quantified: [^`]*)` \|", re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("live")
    add(repository, "slow", identity("slow", [16], 8, BATCHING, delay_ms=20))
    add(repository, "fast", identity("fast", [16], 8, BATCHING))
    add(repository, "two", identity("two", [16], 8, BATCHING, delay_ms=5))
    add(repository, MARKUP, identity(MARKUP, [16], 8))
    with serve(repository) as running:
        yield running


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def live(server, model=None):
    answer = server.get("/v2/headroom" + (f"?model={model}" if model else ""))
    assert answer.status == "200 OK", answer
    assert answer.headers["content-type"] == "application/json"
    document = json.loads(answer.body, parse_constant=no_constant)
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    return document


class Load:
    """Users who each wait for their answer, then think."""

    def __init__(self, server, model, users, rows=1, think=0.0):
        self.server, self.think = server, think
        self.data = request("POST", f"/v2/models/{model}/infer", infer_body(shape=[rows, 16], data=X * rows))
        self.done = []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self._user, daemon=True) for _ in range(users)]

    def _user(self):
        with self.server.connect() as connection, connection.makefile("rb") as stream:
            while not self.ends.is_set():
                connection.sendall(self.data)
                assert read_answer(stream).status == "200 OK"
                self.done.append(time.monotonic())
                if self.think:
                    time.sleep(self.think)

    def rate(self, seconds):
        now = time.monotonic()
        return sum(moment > now - seconds for moment in list(self.done)) / seconds


@contextlib.contextmanager
def load(*arguments, seconds=0.0, **options):
    running = Load(*arguments, **options)
    for thread in running.threads:
        thread.start()
    try:
        time.sleep(seconds)
        yield running
    finally:
        running.ends.set()
        for thread in running.threads:
            thread.join(10)


def value(figure):
    return figure["value"]


def model_of(document, name):
    return next(model for model in document["models"] if model["name"] == name)


def test_routes_answer_as_the_reference_server_does(server):
    root = server.get("/")
    assert (root.status, root.headers["content-type"], root.body) == ("404 Not Found", "text/plain", b'{"error":"Not Found"}')
    page = exchange(server, request("GET", "/", headers=[("Accept", "text/html,*/*;q=0.8")]))
    assert page.status == "302 Found" and page.headers["location"] == "/headroom"
    for path in ("/v2/headroom", "/headroom"):
        assert server.post(path).status.startswith("405")
    unknown = server.get("/v2/headroom?model=nobody")
    assert unknown.status == "404 Not Found" and "nobody" in json.loads(unknown.body)["error"]


def test_an_idle_server_claims_nothing_and_stays_asleep(server):
    document = live(server, "two")
    assert document["summary"].startswith("no requests in the last") and document["regime"] is None
    assert document["client"] is None and any("cannot be seen here" in note for note in document["notes"])
    model = document["models"][0]
    assert model["regime"] is None and not model["findings"] and not model["waterfall"] and value(model["figures"]["requestsPerSecond"]) == 0
    assert cpu_share(server, 1.5) <= 0.02, "nobody asked, and the server worked"


@pytest.fixture(scope="module")
def always_busy(server):
    """Users of the model `slow`, for longer than the window of ten seconds that is looked at. Ended by the last test that looks."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(load(server, "slow", 24, seconds=10.5)), stack


@pytest.mark.alone
def test_an_instance_that_is_always_busy_limits(server, always_busy):
    users = always_busy[0]
    live(server)
    # A moment's difference between the two answers: the front end's share is of the time between them.
    time.sleep(0.6)
    document, rate = live(server, "slow"), users.rate(10)
    model = document["models"][0]
    assert document["mode"] == "measured" and 9.9 < document["windowSeconds"] < 10.1
    assert abs(value(document["requestsPerSecond"]) - rate) <= 0.1 * rate, (document["requestsPerSecond"], rate)
    figures = model["figures"]
    assert value(figures["rowsPerSecond"]) == pytest.approx(value(figures["requestsPerSecond"]))
    assert value(figures["rowsPerBatch"]) == pytest.approx(value(figures["requestsPerBatch"]))
    assert value(figures["batches"]) * value(figures["requestsPerBatch"]) == pytest.approx(value(figures["answeredRequests"]), rel=0.05)
    assert sum(slice["answeredRequests"] for slice in document["slices"]) == pytest.approx(value(figures["answeredRequests"]), rel=0.01)
    assert sum(entry["batches"] for entry in model["batchSizes"]) == value(figures["batches"])
    assert sum(value(bar["ofWall"]) for bar in model["waterfall"]) == pytest.approx(1, abs=1e-6)
    # Little's law: 24 users, no think time, hardly any time outside the server.
    assert value(figures["requestsPerSecond"]) * value(figures["meanLatencyMilliseconds"]) / 1000 == pytest.approx(24, rel=0.15)
    assert value(figures["medianLatencyMilliseconds"]) <= value(figures["p95LatencyMilliseconds"]) <= value(figures["p99LatencyMilliseconds"])
    assert value(figures["instanceBusyShare"]) > 0.9
    front = document["frontEnd"]
    assert front and 0 < value(front["busyShare"]) < 1 and 0.5 < front["sampleSeconds"] < 12.5
    stages = {stage["stage"]: stage for stage in model["stages"]}
    assert stages["client"]["utilization"] is None and "outside" in stages["client"]["unknownBecause"]
    assert stages["frontEnd"]["utilization"] is not None
    regime = document["regime"]
    assert regime["side"] == "device" and regime["sentence"] == "device-bound (medium confidence)", regime
    answer = document["answers"][0]
    assert answer["model"] == "slow" and answer["headroom"]["maximumRequestsPerSecond"]["kind"] == "estimated"
    # 8 requests of 20 ms each batch: some 400 per second, which the users draw already.
    assert 0.7 < answer["headroom"]["timesToday"]["value"] < 1.3, answer["headroom"]
    text = server.get("/v2/headroom?model=slow&format=text")
    assert text.headers["content-type"].startswith("text/plain")
    lines = text.body.decode().splitlines()
    assert lines[0].startswith("slow  headroom ") and all(len(line) <= 80 for line in lines), lines
    assert any(line.startswith("Bottleneck: device-bound") for line in lines), lines
    assert server.get("/v2/headroom?format=xml").status.startswith("400")
    assert regime["toConfirm"]


# In a browser.


def chromium(server, path="/headroom", width=1280, height=2200, dark=False, screenshot=None, folder=None):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        skip_loudly("chromium is missing")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--v=0",
        f"--window-size={width},{height}", "--virtual-time-budget=3500", f"--user-data-dir={folder}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--screenshot={screenshot}" if screenshot else "--dump-dom",
        f"http://127.0.0.1:{server.http_port}{path}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    problems = [line for line in result.stderr.splitlines() if "CONSOLE" in line or "Content Security Policy" in line]
    assert not problems, problems
    return result.stdout


def element(dom, identity):
    """Text between this element's start and the next tag."""
    start = dom.index(f'id="{identity}"')
    return dom[dom.index(">", start) + 1: dom.index("<", dom.index(">", start))]


@pytest.mark.alone
def test_the_page_shows_the_regime(server, always_busy, tmp_path):
    page = server.get("/headroom")
    assert page.status == "200 OK" and page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    with always_busy[1]:
        dom = chromium(server, "/headroom?model=slow", folder=tmp_path / "profile")
        sentence = element(dom, "sentence")
        # The browser shares the cores with the server: the load may drift while it starts, and the page then says so.
        assert sentence == "Bottleneck: device-bound (medium confidence)" or "not steady" in sentence, sentence
        assert "slow, version 1" in dom and "SIMULATED:" in dom and 'id="banner" class="banner" role="note" hidden' in dom
        for chart in ("requests", "latency", "waterfall", "batches"):
            place = dom[dom.index(f'id="{chart}"'):]
            assert "<svg" in place[:200] and "aria-label" in place[:400], chart
        assert "unknown: lies outside this server" in dom
        # Kept where a person asks for them.
        shots = pathlib.Path(os.environ.get("HEADROOM_SCREENSHOTS", tmp_path))
        shots.mkdir(parents=True, exist_ok=True)
        for width, height, dark in ((1280, 2200, False), (1280, 2200, True), (390, 3600, False), (390, 3600, True)):
            shot = shots / f"live-{width}-{'dark' if dark else 'light'}.png"
            chromium(server, width=width, height=height, dark=dark, screenshot=shot, folder=tmp_path / "profile")
            assert shot.read_bytes()[:4] == b"\x89PNG" and shot.stat().st_size > 20_000


@pytest.mark.alone
def test_a_server_that_waits_for_requests_is_limited_upstream(server):
    with load(server, "two", 1, seconds=10.5, think=0.05):
        live(server)
        time.sleep(0.5)
        model = live(server, "two")["models"][0]
    assert model["regime"]["side"] == "upstream", model["regime"]
    assert [claim["regime"] for claim in model["regime"]["claims"]] == ["load-limited"], model["regime"]
    assert next(value(bar["ofWall"]) for bar in model["waterfall"] if bar["step"] == "noRequestsIdle") > 0.8
    codes = {finding["code"] for finding in model["findings"]} | {item["code"] for item in model["undecided"]}
    assert not {code for code in codes if code[2] in "234" or code in ("HR132", "HR133", "HR134", "HR141", "HR142")}, codes


def test_of_a_load_that_came_within_the_window_no_headroom_is_stated(server):
    """Ten lines, JSON and metrics agree: a window of which most was silent says nothing of the server."""
    def metrics():
        return server.get("/metrics", server.metrics_port).body.decode()

    metrics()
    with load(server, "fast", 2, seconds=3.0, think=0.01):
        document = live(server, "fast")
        text = server.get("/v2/headroom?model=fast&format=text").body.decode()
        page = metrics()
    headroom = document["answers"][0]["headroom"]
    assert headroom["maximumRequestsPerSecond"] is None and headroom["timesToday"] is None, headroom
    assert headroom["text"].startswith("unknown, because the window is not steady: "), headroom
    assert text.startswith("fast  headroom unknown, because the window is not steady"), text
    assert not document["answers"][0]["answer"]["changes"], text
    assert 'headroom_requests_per_second_max{model="fast"' not in page
    assert 'headroom_verdict{model="fast",version="1",kind="not_steady"} 1' in page, [line for line in page.splitlines() if "verdict" in line]


def test_a_simulated_device_is_marked(tmp_path):
    add(tmp_path, "small8", identity("small8", [16], 8))
    with serve(tmp_path, "--model", "linear=builtin:linear", "--device", "sim:l4") as running:
        document = live(running, "linear")
    assert document["mode"] == "simulated" and document["models"][0]["device"]["isSimulated"]


@pytest.fixture(scope="module")
def drawn(server):
    """The page with an answer of a server under load in it, so that it needs no server: what a window of any width shows."""
    with load(server, "slow", 6, seconds=4), load(server, "two", 2, seconds=1):
        answer = server.get("/v2/headroom").body.decode()
    page = server.get("/headroom").body.decode()
    stub = "window.fetch = async () => ({ok: true, status: 200, json: async () => (ANSWER), text: async () => ''})".replace(
        "ANSWER", answer.replace("</", "<\\/"))
    found = re.search(r"<script[^>]*>", page)
    return page[:found.start()] + f"<script>{stub}</script>" + page[found.start():]


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_no_mark_of_a_chart_lies_outside_it(drawn, tmp_path, width, dark):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        skip_loudly("chromium is missing")
    found = geometry.assert_drawn(drawn, tmp_path, browser, 30, width, dark, wait=1500)
    assert found["drawings"] >= 6, found


@pytest.mark.parametrize("width, height", [(1400, 900), (390, 844)])
def test_the_answer_is_above_the_fold(drawn, tmp_path, width, height):
    """Bottleneck, the bar of where time went and the ten lines: what is seen without scrolling."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        skip_loudly("chromium is missing")
    found = geometry.geometry(drawn, tmp_path, browser, width, height, wait=1500)
    left, top, right, bottom = found["answers"][0]
    assert 0 <= left and right <= width and 0 < top and bottom <= height, found["answers"]
    assert found["answerBars"] >= 1 and found["width"] <= width, found


def test_a_model_called_like_markup_stays_text(server, tmp_path):
    dom = chromium(server, folder=tmp_path / "profile")
    table = dom[dom.index('id="table"'):]
    assert "&lt;script&gt;alert(1)&lt;b&gt;" in table and MARKUP not in table


def test_an_empty_server_says_so(tmp_path):
    add(tmp_path, "small8", identity("small8", [16], 8))
    with serve(tmp_path) as running:
        dom = chromium(running, folder=tmp_path / "profile")
        assert element(dom, "sentence").startswith("Inconclusive: no requests in the last")


def test_the_ten_lines_of_a_live_server(headroom, tmp_path):
    """Word for word, figures masked; the line of where time went is left out, for its order is the figures'."""
    add(tmp_path, "small8", identity("small8", [16], 8))
    with serve(tmp_path, "--model", "enc=builtin:linear", "--device", "sim:l4") as running:
        asker = threading.Thread(
            target=headroom, args=("load", "--model", "enc", "--url", f"127.0.0.1:{running.http_port}", "--rate", "100", "--poisson", "--duration", "45"),
            kwargs=dict(status=(0, 1, 2, 3, 4)))
        asker.start()
        # The window that is measured: ten seconds in which the load is there all the time.
        time.sleep(11.5)
        running.get("/v2/headroom?model=enc&format=text")
        # What changes would buy is worked out behind the answer: the next ones have it.
        for _ in range(60):
            text = running.get("/v2/headroom?model=enc&format=text").body.decode()
            if "not quantified" not in text:
                break
            time.sleep(0.5)
        document = live(running, "enc")
        asker.join()
    # How far a line through the sizes seen may be trusted for larger ones is the window's: at least, a range, or neither.
    assert re.match(r"enc  headroom (at least )?[\d,.]+x", text) and all(len(line) <= 80 for line in text.splitlines()), text
    lines = []
    for line in text.split("\n\n")[1].splitlines()[1:]:
        if line.startswith(" "):
            lines[-1] += " " + line
        else:
            lines.append(line)
    # "p99" is a word of the answer; every other figure is the run's.
    masked = [re.sub(r"\s+", " ", re.sub(r"(?<![\w.])[+-]?\d[\d,.]*", "#", line)) for line in lines]
    masked = [line for line in masked if not line.startswith(("GPU time", "No effect"))]
    masked = [re.sub(r"^(Headroom) (at least )?#x( \(#x to #x\))?", r"\1 #x", line) for line in masked]
    # Which changes are worth a line is the run's too; how each is said is not.
    changes = [line for line in masked if line.startswith("# ")]
    golden = (ROOT / "Tests/Data/answers/live.txt").read_text().splitlines()
    known = [line for line in golden if line.startswith("# ")]
    assert [line for line in masked if line not in changes] == [line for line in golden if line not in known], "\n".join(masked)
    # A change is quantified; or why none is stands in the answer for programs, in words that Docs/live.md lists.
    kinds = {re.search(r"\[([a-z ]+)\]$", line).group(1) for line in changes}
    fixes = [fix for finding in document["models"][0]["findings"] for fix in finding["fixes"]]
    if kinds and kinds <= {"estimated"}:
        assert any(fix["notQuantifiedBecause"] is None for fix in fixes), fixes
    else:
        assert kinds <= {"not quantified"}, "\n".join(changes)
        reasons = {fix["notQuantifiedBecause"] for fix in fixes} - {None}
        documented = DOCUMENTED.findall((ROOT / "Docs/live.md").read_text())
        assert reasons and documented, (reasons, documented)
        unknown = {reason for reason in reasons if not any(re.fullmatch(text.replace("N %", r"[+-]?[\d.]+ %"), reason) for text in documented)}
        assert not unknown, unknown
    assert all(re.sub(r"(; costs .*)? \[[a-z ]+\]$", "", line) in known for line in changes), "\n".join(changes)
