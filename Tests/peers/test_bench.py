"""`headroom bench` end to end, by the release build: limits, verdicts and what makes them flip, files, errors."""

import html
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import textwrap
import time

import geometry
import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "Docs/schemas/bench.json").read_text())
UPSTREAM = "upstream of the GPU (high confidence), probably the load generator (medium)"
# The case study's figures, per second of its runs (counts over requests / RPS).
DOCUMENT = {
    "linear": dict(rps=1151.22, mean=440.97, per_batch=4.70, batches=244.9, kernel=6.2, active=0.029),
    "stacked": dict(rps=1195.51, mean=419.26, per_batch=4.73, batches=252.5, kernel=12.3, active=0.059),
    "seqlen": dict(rps=1004.73, mean=683.84, per_batch=4.97, batches=202.1, kernel=199, active=0.764),
}


def experiment(variants, **top):
    """An experiment file of the case study's kind."""
    lines = ["device: sim:rtx-pro-6000", "repetitions: 1", "host: " + top.pop("host", "triton-26.02-locust")]
    lines += [f"{key}: {value}" for key, value in top.items() if key not in ("workload", "hostCosts")]
    workload = dict(users=1000, spawnRate=200, think="uniform:0.08,0.48", rows=50, warmUpSeconds=8, seconds=20)
    workload.update(top.get("workload", {}))
    lines.append("workload: " + json.dumps(workload))
    if "hostCosts" in top:
        lines.append("hostCosts: " + json.dumps(top["hostCosts"]))
    lines.append(
        textwrap.dedent(
            """\
            serving:
              maxBatchSize: 256
              dynamicBatching: {preferredBatchSize: [128, 256], maxQueueDelayMicroseconds: 10000, preserveOrdering: true, maxQueueSize: 20480}
            """
        )
    )
    lines.append("variants:")
    lines += ["  - " + json.dumps(variant) for variant in variants]
    return "\n".join(lines) + "\n"


LINEAR = dict(name="linear", model="linear", layers=19)
SEQLEN = dict(name="seqlen", model="seqlen", layers=20)


@pytest.fixture
def bench(headroom, tmp_path):
    def run(text, *options, status=0):
        path = tmp_path / "experiment.yaml"
        path.write_text(text)
        # 3: a verdict that is inconclusive, as some are without gains.
        output = headroom("bench", path, "--json", "--quiet", "--no-files", *options, status=status or (0, 3))
        if status:
            return output
        document = json.loads(output)
        jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
        return {variant["name"]: variant for variant in document["variants"]}

    return run


@pytest.fixture(scope="session")
def document(headroom):
    output = headroom("bench", "--json", "--quiet", "--no-files", "--repetitions", "1")
    tree = json.loads(output)
    jsonschema.validate(tree, SCHEMA, cls=jsonschema.Draft202012Validator)
    return {variant["name"]: variant for variant in tree["variants"]}


def value(variant, name):
    return variant["figures"][name]["value"]


# What each change would buy takes most of an experiment's time. A verdict of "upstream" is the same without, but for how certain it is; whether
# the load limits, only those figures tell.
GAINS = pytest.mark.parametrize("gains", [("--no-gains",), pytest.param((), marks=pytest.mark.long)], ids=["without gains", "with gains"])
# Half a minute each on a core of their own.
FLIPS = pytest.mark.xdist_group("flipped verdicts")
DOCUMENTS = pytest.mark.xdist_group("the case study's experiment")
ANSWERS = pytest.mark.xdist_group("answers of situations")
PAGES = pytest.mark.xdist_group("pages of experiments")


def is_upstream(variant, gains):
    sentence = variant["verdict"]["sentence"]
    return sentence.startswith("upstream of the GPU (") and sentence.endswith("probably the load generator (medium)") if gains else sentence == UPSTREAM


@DOCUMENTS
@pytest.mark.parametrize("name", DOCUMENT)
def test_the_case_studys_figures_regression_of_the_fit(document, name):
    """Client and hand-over are fitted on linear and seqlen, so there this guards the fit; stacked and all kernel times are predictions."""
    ours, theirs = document[name], DOCUMENT[name]
    seconds = 120
    assert value(ours, "throughputRequestsPerSecond") == pytest.approx(theirs["rps"], rel=0.10)
    assert value(ours, "batches") / seconds == pytest.approx(theirs["batches"], rel=0.10)
    assert value(ours, "requestsPerBatch") == pytest.approx(theirs["per_batch"], rel=0.10)
    assert value(ours, "dominantKernelInstances") / seconds == pytest.approx(theirs["batches"] * 19, rel=0.10)
    assert value(ours, "dominantKernelMeanMicroseconds") == pytest.approx(theirs["kernel"], rel=0.10)
    assert value(ours, "dominantKernelActiveShare") == pytest.approx(theirs["active"], rel=0.10)
    assert value(ours, "meanLatencyMilliseconds") == pytest.approx(theirs["mean"], rel=0.15)


@DOCUMENTS
def test_the_case_studys_verdicts(document):
    assert document["linear"]["verdict"]["sentence"] == UPSTREAM
    assert document["stacked"]["verdict"]["sentence"] == UPSTREAM
    assert document["seqlen"]["verdict"]["sentence"] == "compute-bound, 127/128 of it redundant work (high confidence)"


@DOCUMENTS
@pytest.mark.parametrize("name", DOCUMENT)
def test_elasticities_add_up_to_one(document, name):
    elasticities = document[name]["throughputSensitivities"]
    assert elasticities["isConsistent"]
    assert abs(elasticities["sum"] - 1) <= 0.05
    assert elasticities["sum"] == pytest.approx(sum(term["value"] for term in elasticities["terms"].values()))


@DOCUMENTS
@pytest.mark.parametrize("name", DOCUMENT)
def test_the_waterfall_adds_up(document, name):
    assert sum(bar["ofWall"]["value"] for bar in document[name]["waterfall"]) == pytest.approx(1, abs=1e-9)


@DOCUMENTS
@pytest.mark.parametrize("name", DOCUMENT)
def test_headroom_stands_first_and_is_absolute_beside_relative(document, name):
    variant = document[name]
    assert list(variant)[:3] == ["name", "headroom", "answer"]
    headroom = variant["headroom"]
    rate, today = headroom["maximumRequestsPerSecond"]["value"], headroom["requestsPerSecondToday"]["value"]
    assert headroom["timesToday"]["value"] == pytest.approx(rate / today)
    assert headroom["goal"] == {"percentile": 99, "milliseconds": 100, "isAssumed": True} and "assumed goal" in headroom["text"]
    assert f"{rate:,.0f} requests/s" in headroom["text"]
    # What is not idle for want of requests is the loop's own time: without that idle time, and with full batches, it passes so many.
    waiting = sum(bar["ofWall"]["value"] for bar in variant["waterfall"] if bar["step"] == "generatorIdle")
    cap = today / (1 - waiting)
    low, high = 0.7 * cap, 1.1 * cap
    assert low < rate < high, (low, rate, high)


def masked(lines):
    """The answer's lines, whole and with their figures masked: words are held to the letter, digits are the processor's arithmetic."""
    whole = []
    for line in lines:
        if line.startswith(" "):
            whole[-1] += " " + line.strip()
        else:
            whole.append(line)
    # "p99" and "HR101" are words.
    return [re.sub(r"\s+", " ", re.sub(r"(?<![\w.])-?\d[\d,.]*", "#", line)) for line in whole]


def golden(name):
    return (ROOT / "Tests/Data/answers" / name).read_text().splitlines()


@DOCUMENTS
@pytest.mark.parametrize("name", DOCUMENT)
def test_the_answer_of_the_case_study(document, name):
    assert masked(document[name]["answer"]["lines"]) == golden(f"case-study-{name}.txt")


@ANSWERS
def test_the_answer_of_an_encoder_at_900_requests_per_second(headroom):
    document = json.loads(headroom("bench", ROOT / "Examples/encoder-l40s.yaml", "--json", "--quiet", "--no-files"))
    variant = document["variants"][0]
    assert masked(variant["answer"]["lines"]) == golden("encoder-l40s.txt")
    assert 20 < variant["headroom"]["timesToday"]["value"] < 100


SITUATIONS = dict(
    # A generator that is full: of users who wait for it, and of arrivals that queue in it although the server keeps up.
    saturated_client=dict(host=dict(clientPerRequest=900, clientCores=1), workload="{users: 200, rows: 4, seconds: 6, warmUpSeconds: 2}",
                          serving="{maxBatchSize: 64, dynamicBatching: {maxQueueDelayMicroseconds: 1000}}"),
    saturated_client_open=dict(host=dict(clientPerRequest=900, clientCores=1), workload="{rate: 1050, rows: 4, seconds: 6, warmUpSeconds: 2}",
                               serving="{maxBatchSize: 64, dynamicBatching: {maxQueueDelayMicroseconds: 1000}}"),
    # Mostly waiting for max_queue_delay, beyond the goal.
    delayed=dict(goal=20, workload="{rate: 300, rows: 1, seconds: 6, warmUpSeconds: 2}",
                 serving="{maxBatchSize: 64, dynamicBatching: {maxQueueDelayMicroseconds: 50000}}"),
    # Load-limited, with a goal that no rate keeps.
    missed_goal=dict(goal=0.4, workload="{rate: 50, rows: 1, seconds: 20, warmUpSeconds: 2}", serving="{maxBatchSize: 64}"),
    # Users that wait for their responses, and a server that could do more for others.
    few_users=dict(workload="{users: 8, think: 'uniform:0.001,0.003', rows: 1, seconds: 6, warmUpSeconds: 2}",
                   serving="{maxBatchSize: 64, dynamicBatching: {maxQueueDelayMicroseconds: 500}}"),
    # More than it can answer, without dynamic batching.
    overloaded=dict(workload="{rate: 20000, rows: 1, seconds: 3, warmUpSeconds: 1}", serving="{maxBatchSize: 8}"),
)


@ANSWERS
@pytest.mark.parametrize("name", SITUATIONS)
def test_the_answer_of_a_situation(headroom, tmp_path, name):
    """Verdict, headroom and changes of situations that are not the case study's, word for word: none of the three may contradict another."""
    situation = SITUATIONS[name]
    lines = ["name: situation", "question: What limits?", "device: sim:l40s", f"p99GoalMilliseconds: {situation.get('goal', 100)}",
             f"workload: {situation['workload']}", f"serving: {situation['serving']}"]
    if "host" in situation:
        lines.append("hostCosts: {" + ", ".join(f"{cost}: {value}" for cost, value in situation["host"].items()) + "}")
    lines += ["variants:", "  - {name: head, model: linear, layers: 3, hidden: 512}"]
    (tmp_path / "e.yaml").write_text("\n".join(lines))
    variant = json.loads(headroom("bench", tmp_path / "e.yaml", "--json", "--quiet", "--no-files"))["variants"][0]
    assert all(len(line) <= 80 for line in variant["answer"]["lines"])
    if name == "few_users":
        assert variant["headroom"]["condition"] == "with more than 8 users" and variant["headroom"]["timesToday"]["value"] > 1.2
    assert masked(variant["answer"]["lines"]) == golden(f"{name.replace('_', '-')}.txt"), "\n".join(variant["answer"]["lines"])


@DOCUMENTS
@pytest.mark.parametrize("name", DOCUMENT)
def test_ten_lines_fit_and_the_chart_says_what_the_verdict_says(document, name):
    answer = document[name]["answer"]
    assert all(len(line) <= 80 for line in answer["lines"])
    assert answer["lines"][0].startswith("Bottleneck: ") and len(answer["changes"]) <= 3
    settings = [change["setting"] for change in answer["changes"]]
    assert len(set(settings)) == len(settings)
    if name != "seqlen":
        shares = {bar["step"]: bar["ofWall"]["value"] for bar in document[name]["waterfall"]}
        assert shares["generatorIdle"] > 0.8 and "batchingDelayIdle" not in shares and "noRequestsIdle" not in shares
        assert "CUDA graphs" not in settings


@DOCUMENTS
def test_findings_and_the_path_of_two(document):
    codes = [finding["code"] for finding in document["seqlen"]["findings"]]
    assert codes[0] == "HR211"
    assert document["linear"]["findings"][0]["code"] == "HR101"
    assert "HR206" in [finding["code"] for finding in document["stacked"]["findings"]]
    assert "HR206" not in [finding["code"] for finding in document["linear"]["findings"]]
    path = document["seqlen"]["improvementPlan"]
    assert [step["codes"] for step in path] == [["HR211"], ["HR101"]]
    first, both = (step["total"]["throughput"]["change"]["value"] for step in path)
    assert first < 0.25 and both > 1.5
    cost = path[0]["total"]["gpuSecondsPerMillionInferences"]["change"]["value"]
    assert cost < -0.95


@FLIPS
def test_eight_client_cores_flip_the_verdict(bench):
    verdict = bench(experiment([LINEAR], hostCosts=dict(clientCores=8)))["linear"]["verdict"]
    assert "load generator" not in verdict["sentence"]
    assert verdict["sentence"].startswith("load-limited")


@FLIPS
def test_fifty_users_flip_the_verdict(bench):
    for name, variant in bench(experiment([LINEAR, SEQLEN], workload=dict(users=50))).items():
        assert variant["verdict"]["sentence"].startswith("load-limited"), name


@FLIPS
def test_half_the_gpu_flips_the_verdict(bench):
    # 64 tokens: the client still limits; on a device half as fast the kernels do.
    half = dict(SEQLEN, sequence=64)
    assert is_upstream(bench(experiment([dict(half, name="whole")]), "--no-gains")["whole"], "--no-gains")
    variants = bench(experiment([dict(half, name="half", deviceTimeScale=2)]))
    # "GPU-bound" where no roof is stable over the ensemble of fits.
    assert variants["half"]["verdict"]["sentence"].split(",")[0] in ("compute-bound", "GPU-bound")
    assert "63/64 of it redundant work" in variants["half"]["verdict"]["sentence"]


@GAINS
def test_one_row_requests_flip_the_verdict(bench, gains):
    assert is_upstream(bench(experiment([SEQLEN], workload=dict(rows=1)), *gains)["seqlen"], gains)


@GAINS
def test_sink_broadcast_flips_the_verdict(bench, gains):
    variant = bench(experiment([dict(SEQLEN, rewrites=["sink-broadcast"])]), *gains)["seqlen"]
    assert is_upstream(variant, gains)
    assert value(variant, "gpuBusyShare") < 0.05


def test_without_a_host_the_load_generator_costs_nothing(bench):
    """Nobody else's Locust client slows an experiment that does not name one."""
    text = experiment([LINEAR], host="triton-26.02", workload=dict(users=100))
    variant = bench(text.replace("host: triton-26.02\n", ""), "--no-gains")["linear"]
    assert variant["hostProfile"] == "triton-26.02"
    assert "HR101" not in [finding["code"] for finding in variant["findings"]]


def test_ten_lines_are_the_default(headroom):
    text = headroom("bench", "--no-files", "--quiet", "--seconds", "2", "--repetitions", "1", "--no-gains", "--variant", "linear", "--slo", "p99<25ms", status=(0, 3))
    lines = text.splitlines()
    assert lines[0].startswith("linear  headroom ") and all(len(line) <= 80 for line in lines), text
    assert "p99 <= 25 ms" in lines[0] + lines[1] and "assumed goal" not in text
    assert "host profile triton-26.02-locust" in text and len(lines) < 25
    assert "--slo nonsense" in headroom("bench", "--slo", "nonsense", status=64)


def test_the_same_seed_gives_the_same_bytes(headroom):
    arguments = ["bench", "--json", "--quiet", "--no-files", "--no-gains", "--seconds", "5", "--variant", "linear"]
    assert headroom(*arguments) == headroom(*arguments)
    assert headroom(*arguments) != headroom(*arguments, "--seed", "2")


def test_files_and_traces(headroom, tmp_path):
    out = tmp_path / "new" / "folder"
    arguments = ["--seconds", "2", "--repetitions", "1", "--no-gains", "--quiet", "--out", out]
    headroom("bench", "--variant", "linear", "--variant", "seqlen", *arguments, "--trace", tmp_path / "run.sqlite", "--chrome", tmp_path / "run.json")
    page = (out / "report.html").read_text()
    assert page.count("SIMULATED") > 10
    for outside in ("http://", "https://", "src=", "@import", "url(h"):
        assert outside not in page.replace("url(#h", ""), outside
    assert "throughput" in (out / "figures.csv").read_text()
    jsonschema.validate(json.loads((out / "report.json").read_text()), SCHEMA, cls=jsonschema.Draft202012Validator)
    with sqlite3.connect(tmp_path / "run-linear.sqlite") as database:
        (kernels,) = database.execute("select count(*) from CUPTI_ACTIVITY_KIND_KERNEL").fetchone()
        batches = database.execute("select count(*), sum(requests) from HEADROOM_BATCH").fetchone()
        (name,) = database.execute("select name from TARGET_INFO_GPU").fetchone()
        (kind,) = database.execute("select value from HEADROOM_RUN where key = 'kind'").fetchone()
        joined = database.execute(
            "select count(*) from CUPTI_ACTIVITY_KIND_KERNEL k join CUPTI_ACTIVITY_KIND_RUNTIME r using (correlationId)"
        ).fetchone()
    assert kernels >= batches[0] * 20 and joined[0] == kernels
    assert name.endswith("(simulated by headroom)") and kind == "simulated"
    events = json.loads((tmp_path / "run-seqlen.json").read_text())["traceEvents"]
    assert {"kernel", "cuda_driver", "gpu_memcpy"} <= {event.get("cat") for event in events}


def test_the_template_runs(headroom, tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text(headroom("bench", "--init"))
    names = [v["name"] for v in json.loads(headroom("bench", path, "--json", "--quiet", "--no-files", "--no-gains", "--seconds", "2"))["variants"]]
    assert names == ["linear", "stacked", "seqlen"]


def test_tritons_own_configuration_serves(bench, tmp_path):
    (tmp_path / "config.pbtxt").write_text(
        'name: "m" max_batch_size: 256\ndynamic_batching { preferred_batch_size: [ 250 ] max_queue_delay_microseconds: 10000 }\n'
    )
    text = experiment([LINEAR]).replace("  maxBatchSize: 256\n", "  config: config.pbtxt\n")
    text = "\n".join(line for line in text.splitlines() if "dynamicBatching" not in line) + "\n"
    departures = bench(text, "--no-gains")["linear"]["dispatchReasons"]
    assert departures["preferredSize"] > 0.9 * sum(departures.values())
    (tmp_path / "config.pbtxt").write_text("max_batch_size: 256\nsequence_batching {}\n")
    message = bench(text, status=1)
    assert "config.pbtxt:2:1" in message and "sequence_batching" in message


@pytest.mark.parametrize(
    "change, place",
    [
        (("users\": 1000", "users\": 0"), "workload.users"),
        (("uniform:0.08,0.48", "uniform:9"), "workload.think"),
        (("sim:rtx-pro-6000", "sim:rtx-pro-6001x"), "device"),
        (("sim:rtx-pro-6000", "cuda:0"), "device"),
        (("preferredBatchSize: [128, 256]", "preferredBatchSize: [300]"), "serving.dynamicBatching.preferredBatchSize"),
        (("maxBatchSize: 256", "maxBatchSise: 256"), "serving.maxBatchSise"),
        (("maxBatchSize: 256", "maxBatchSize: 20"), "maxBatchSize"),
        (("\"model\": \"linear\"", "\"model\": \"liner\""), "variants[0].model"),
        (("\"layers\": 19", "\"layers\": -1"), "variants[0].layers"),
        (("repetitions: 1", "repetitions: 1\nrepetitions: 2"), "repetitions"),
        (("variants:", "variants: {"), "line"),
    ],
)
def test_mistakes_name_line_and_field(bench, change, place):
    text = experiment([LINEAR])
    assert change[0] in text
    message = bench(text.replace(*change, 1), status=1)
    assert "experiment.yaml" in message and place in message, message


def test_hypotheses(headroom):
    text = headroom("bench", "--hypotheses", "--quiet")
    assert "SIMULATED" in text and "to confirm" in text
    errors = [float(line.split(":")[1].strip().rstrip(" %")) for line in text.splitlines() if "root mean square error" in line]
    assert len(errors) == 3 and errors[0] < errors[1] < errors[2] and errors[0] < 4 and errors[2] > 20


def test_usage_errors(headroom):
    headroom("bench", "--seconds", "0", status=64)
    headroom("bench", "--rows", "x", status=64)
    assert "there are case-study, parts, iso-m, isolate (with --device cpu or cuda:0), clients (with --device cpu or cuda:0)" in headroom(
        "bench", "--suite", "nothing", status=1)
    assert "there are linear, stacked, seqlen" in headroom("bench", "--variant", "nothing", status=1)


@pytest.mark.parametrize("arguments, status, sentence", [
    (["--model", "missing.onnx"], 1, "--model missing.onnx: there is no such file"),
    (["--model", "e.yaml"], 1, "--model e.yaml: that is an experiment file: headroom bench e.yaml"),
    (["--model", "resnet"], 1, "--model resnet: give linear, stacked, seqlen, encoder, or an .onnx file"),
    (["--model", "linear", "--device", "sim:l50"], 1, "--device sim:l50: no GPU is called"),
    (["--model", "linear", "--device", "l40s"], 64, "--device l40s: write sim:l40s for a GPU in virtual time"),
    (["--model", "linear", "--gpu", "l40s"], 64, "bench has no option --gpu; here it is --device sim:NAME"),
    (["--model", "linear", "--duration", "5"], 64, "bench has no option --duration; here it is --seconds"),
    (["--model", "linear", "--config", "missing.pbtxt"], 1, "--config missing.pbtxt: there is no such file"),
    (["--seconds", "1", "--out", "/proc/nowhere"], 1, "/proc/nowhere"),
])
def test_what_is_wrong_is_said_at_once_and_by_its_option(headroom, arguments, status, sentence):
    began = time.monotonic()
    said = headroom("bench", *arguments, status=status)
    assert sentence in said and "about" not in said, said
    assert time.monotonic() - began < 5, "found out after the run"


def test_one_model_at_a_rate_far_below_what_it_can_take(headroom, tmp_path):
    """The search for the highest rate simulates a hundred times the rate asked for: said beforehand, and not a minute per change."""
    headroom("export", "encoder", "-o", tmp_path / "model.onnx")
    document = json.loads(headroom(
        "bench", "--model", tmp_path / "model.onnx", "--device", "sim:l40s", "--rate", "900", "--seconds", "2", "--repetitions", "1", "--json", "--quiet",
        "--no-files", "--no-gains"))
    variant = document["variants"][0]
    assert variant["headroom"]["timesToday"]["value"] > 20, variant["headroom"]


BOXES = """<script>addEventListener('load', () => document.body.setAttribute('data-boxes', JSON.stringify({
  cards: [...document.querySelectorAll('.card')].map(card => { const box = card.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom] }),
  width: document.documentElement.scrollWidth})))</script>"""


def boxes(page, folder, chromium, width, height):
    """Where the cards of a page lie in a window of this size, by Chromium: in a frame, because its own window is never as narrow as a phone."""
    (folder / "probe.html").write_text(page.replace("</body>", BOXES + "</body>"))
    (folder / "frame.html").write_text(
        f"<!doctype html><body><iframe id=f src=probe.html width={width} height={height}></iframe><script>addEventListener('load', () => setTimeout(() => "
        "document.body.setAttribute('data-boxes', document.getElementById('f').contentDocument.body.dataset.boxes), 200))</script></body>")
    result = subprocess.run(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--virtual-time-budget=3000",
         f"--user-data-dir={folder}/profile", f"--window-size={width + 200},{height + 200}", "--dump-dom", f"file://{folder}/frame.html"],
        capture_output=True, text=True, timeout=120)
    found = re.search(r'<body[^>]*data-boxes="([^"]*)"', result.stdout)
    assert found, result.stdout[:500]
    return json.loads(html.unescape(found.group(1)))


@pytest.fixture(scope="module")
def pages(headroom, tmp_path_factory):
    """Pages of one, two and three variants, with what each change would buy: the cards are as long as they get."""
    made = {}

    def page(variants):
        if variants not in made:
            folder = tmp_path_factory.mktemp("page")
            chosen = [word for name in list(DOCUMENT)[:variants] for word in ("--variant", name)]
            headroom("bench", "--seconds", "3", "--repetitions", "1", "--quiet", *chosen, "--out", folder, status=(0, 3))
            made[variants] = (folder / "report.html").read_text()
        return made[variants]

    return page


@PAGES
@pytest.mark.parametrize("variants", [1, 2, 3])
@pytest.mark.parametrize("width, height", [(1400, 900), (390, 844)])
def test_cards_are_above_the_fold(pages, tmp_path, width, height, variants):
    """Each variant's whole card is seen without scrolling down; on a phone the next one is a swipe away, and its edge shows."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium")
    found = boxes(pages(variants), tmp_path, chromium, width, height)
    assert len(found["cards"]) == variants and found["width"] <= width
    for left, top, right, bottom in found["cards"]:
        assert 0 <= left < right and 0 < top and bottom <= height, found
    assert all(right <= width for _, _, right, _ in found["cards"][:1 if width < 640 else variants]), found
    if width < 640 and variants > 1:
        assert found["cards"][1][0] < width, found


@pytest.fixture(scope="module")
def comparison(headroom, tmp_path_factory):
    """A page with every kind of chart of a comparison."""
    folder = tmp_path_factory.mktemp("comparison")
    headroom("bench", "--seconds", "2", "--repetitions", "1", "--no-gains", "--quiet", "--out", folder, status=(0, 3))
    return (folder / "report.html").read_text()


@PAGES
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_no_mark_of_a_chart_lies_outside_it(comparison, tmp_path, width, dark):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium")
    found = geometry.assert_drawn(comparison, tmp_path, chromium, 300, width, dark)
    assert found["drawings"] > 20, found


def test_the_probe_sees_what_lies_outside(tmp_path):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium")
    page = '<!doctype html><body><svg viewBox="0 0 100 20" width="100%" aria-label="a" style="overflow:visible">{}</svg></body>'
    good = geometry.geometry(page.format('<rect x="1" y="1" width="90" height="9"/><text x="2" y="15" font-size="8">tick</text>'), tmp_path, chromium, 390)
    assert good["marks"] == 2 and not good["outside"], good
    bad = geometry.geometry(page.format('<rect x="50" y="1" width="90" height="9"/><text x="99" y="19">tick</text>'), tmp_path, chromium, 390)
    assert [mark[0] for mark in bad["outside"]] == ["rect", "text"], bad


def test_chromium_draws_the_page_without_an_error(headroom, tmp_path):
    chromium = subprocess.run(["which", "chromium"], capture_output=True, text=True).stdout.strip()
    if not chromium:
        pytest.skip("no chromium")
    headroom("bench", "--seconds", "2", "--repetitions", "1", "--no-gains", "--quiet", "--out", tmp_path)
    for width in (390, 1200):
        result = subprocess.run(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom", f"file://{tmp_path}/report.html"],
            capture_output=True, text=True, timeout=120,
        )
        assert result.returncode == 0 and "What limits" in result.stdout
