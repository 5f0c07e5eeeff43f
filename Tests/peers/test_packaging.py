"""What is installed works in an empty root: program, completions, manual pages, systemd unit, .deb; and the examples for fleets hold."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
from serving import BINARY, ROOT, add, identity, serve, skip_loudly, until

BUILD = pathlib.Path(BINARY).parent
COMMANDS = ["bench", "calibrate", "check", "compare", "doctor", "explain", "export", "load", "plan", "profile", "serve"]


def run(*command, expect=0, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)
    assert expect is None or result.returncode == expect, result.stdout + result.stderr
    return result


def need(tool):
    path = shutil.which(tool)
    if path is None:
        skip_loudly(f"{tool} is missing")
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An empty root with the program under /usr/local."""
    folder = tmp_path_factory.mktemp("root")
    run(ROOT / "Scripts/install", BUILD, "/usr/local", folder)
    return folder


def test_the_program_runs_from_its_prefix_and_finds_its_interposer(root, tmp_path):
    program = root / "usr/local/bin/headroom"
    assert run(program, "--version", env={}).stdout == run(BINARY, "--version").stdout
    result = run(program, "profile", "--os", "-o", tmp_path / "t.sqlite", "--", "/bin/true")
    assert (tmp_path / "t.sqlite").exists(), result.stderr


def test_nothing_is_installed_elsewhere_and_again_is_the_same(root):
    top = {path.relative_to(root).parts[:2] for path in root.rglob("*") if path.is_file()}
    assert top == {("usr", "local")}
    files = {path: path.stat().st_size for path in root.rglob("*") if path.is_file()}
    run(ROOT / "Scripts/install", BUILD, "/usr/local", root)
    assert {path: path.stat().st_size for path in root.rglob("*") if path.is_file()} == files
    assert run(ROOT / "Scripts/install", BUILD, "usr/local", root, expect=64).stderr.startswith("PREFIX=usr/local: an absolute path")


def test_bash_completes_commands_and_options(root):
    script = root / "usr/local/share/bash-completion/completions/headroom"

    def complete(*words):
        line = f"source {shlex.quote(str(script))}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; COMP_LINE='{' '.join(words)}'; "
        line += "COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; _headroom headroom \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\""
        return set(run("bash", "--norc", "-c", line).stdout.split())

    assert "plan" in complete("headroom", "pl")
    assert "--gpu" in complete("headroom", "plan", "--g")
    assert (root / "usr/local/share/zsh/site-functions/_headroom").read_text().startswith("#compdef headroom")
    assert "complete -c 'headroom'" in (root / "usr/local/share/fish/vendor_completions.d/headroom.fish").read_text()


@pytest.mark.parametrize("shell, question, answer", [
    ("zsh", "fpath=({root}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D; zsh -n {root}/zsh/site-functions/_headroom && echo $_comps[headroom]",
     "_headroom"),
    ("fish", "source {root}/fish/vendor_completions.d/headroom.fish; complete -C'headroom plan --g'", "--gpu"),
])
def test_other_shells_complete_where_they_are(root, shell, question, answer):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    startup = ["-f"] if shell == "zsh" else ["--no-config"]
    result = run(shell, *startup, "-c", question.replace("{root}", shlex.quote(str(root / "usr/local/share"))))
    # fish tells a script that asks where the cursor is that there is none: of a person's shell there is.
    assert answer in result.stdout.split() and (shell == "fish" or not result.stderr), result.stdout + result.stderr


def test_manual_pages_are_clean_and_have_every_option(root):
    need("man")
    folder = root / "usr/local/share/man/man1"
    assert {path.name for path in folder.iterdir()} >= {"headroom.1.gz"} | {f"headroom-{command}.1.gz" for command in COMMANDS}
    for page in folder.iterdir():
        result = run("man", "--warnings", "-l", "-Tutf8", page, env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"})
        assert result.stderr == "", (page.name, result.stderr)
    for command in COMMANDS:
        text = run("man", "-l", "-Tascii", folder / f"headroom-{command}.1.gz", env={**os.environ, "MANWIDTH": "200", "GROFF_NO_SGR": "1"}).stdout
        text = re.sub(".\b", "", text)
        options = set(re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", run(BINARY, command, "--help").stdout, re.MULTILINE))
        assert {option for option in options if not re.search(re.escape(option) + r"(?![a-z0-9-])", text)} == set(), command


def test_the_systemd_unit_holds(tmp_path):
    tool = need("systemd-analyze")
    run(ROOT / "Scripts/install", BUILD, tmp_path / "opt")
    unit = tmp_path / "opt/lib/systemd/system/headroom.service"
    result = run(tool, "verify", "--man=no", unit, expect=None)
    assert "headroom.service" not in result.stderr and result.returncode == 0, result.stderr
    # The command line is one that the program takes, with an option from the environment file.
    line = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))[len("ExecStart="):]
    models = tmp_path / "models"
    add(models, "m", identity("m", [4], 8))
    words = shlex.split(line.replace("${HEADROOM_MODELS}", str(models)).replace("$HEADROOM_OPTIONS", "--http-port 0 --grpc-port 0 --metrics-port 0")
                        .replace("/var/lib/headroom/engines", str(tmp_path / "engines")))
    assert until_ready(words)


def until_ready(words):
    """Runs a server until it says that it is ready; it must end well."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    is_ready = any(json.loads(line)["message"] == "ready" for line in process.stderr)
    process.terminate()
    process.stderr.read()
    return is_ready and process.wait(60) == 0


def test_the_deb_unpacks_to_a_program_that_runs(tmp_path):
    need("dpkg-deb")
    run(ROOT / "Scripts/make-deb", BUILD, tmp_path, env={**os.environ, "DEB_COMPRESSION": "none"})
    package = next(tmp_path.glob("headroom_*.deb"))
    fields = dict(line.split(": ", 1) for line in run("dpkg-deb", "--field", package).stdout.splitlines() if ": " in line)
    assert fields["Package"] == "headroom" and fields["Version"] == run(BINARY, "--version").stdout.strip()
    owners = {line.split()[1] for line in run("dpkg-deb", "--contents", package).stdout.splitlines()}
    assert owners == {"root/root"}
    run("dpkg-deb", "--extract", package, tmp_path / "root")
    assert run(tmp_path / "root/usr/bin/headroom", "--version", env={}).stdout.strip() == fields["Version"]
    run("dpkg-deb", "--control", package, tmp_path / "control")
    run("md5sum", "--check", "--quiet", tmp_path / "control/md5sums", cwd=tmp_path / "root")


def test_the_containers_steps_are_of_things_that_are_there(tmp_path):
    """Where no builder runs, the file's steps are taken one by one: what it copies `make dist` makes, and its command is one that runs."""
    text = (ROOT / "Packaging/Containerfile").read_text().replace("\\\n", " ")
    steps = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    assert [step for step, _ in steps] == ["FROM", "RUN", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"]
    arguments = dict(steps)
    made = (ROOT / "Scripts/make-dist").read_text()
    *sources, folder = arguments["COPY"].split()
    assert folder.startswith("/usr/lib/headroom/") and all(pathlib.Path(source).name in made and source.startswith("dist/") for source in sources)
    # And all that the program looks for beside itself is there, not only some of it.
    assert {pathlib.Path(source).name for source in sources} == {"headroom", *re.search(r'^loaded="(.*)"$', made, re.MULTILINE)[1].split()}
    add(tmp_path, "m", identity("m", [4], 8))
    words = [BINARY, *json.loads(arguments["CMD"]), "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
    assert until_ready([str(tmp_path) if word == "/models" else word for word in words])


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    repository = tmp_path_factory.mktemp("models")
    add(repository, "m", identity("m", [4], 8))
    with serve(repository) as server:
        def page():
            return server.get("/metrics", server.metrics_port).body.decode()

        # What the diagnosis adds is there once a first one is done, which the first scrape asks for.
        assert until(lambda: "headroom_verdict" in page(), 30)
        yield page()


def names(expression):
    return set(re.findall(r"\b(?:nv|headroom)_[a-z0-9_]+", expression))


# Absent until there has been load: the fit of a simulation needs some.
LATER = {"headroom_requests_per_second_max"}


def test_grafanas_queries_are_of_series_that_exist(metrics, tmp_path):
    dashboard = json.loads((ROOT / "Examples/grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) >= 10 and len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    served = set(re.findall(r"^([a-z0-9_]+)[{ ]", metrics, re.MULTILINE))
    for expression in expressions:
        assert names(expression) <= served | LATER, expression
    promtool = need("promtool")
    rules = [f"      - record: a:b{index}\n        expr: {json.dumps(expression.replace('$__rate_interval', '1m').replace('$model', '.*'))}"
             for index, expression in enumerate(expressions)]
    (tmp_path / "rules.yaml").write_text("groups:\n  - name: g\n    rules:\n" + "\n".join(rules) + "\n")
    run(promtool, "check", "rules", tmp_path / "rules.yaml")


def test_alerts_are_rules_of_series_that_exist(metrics, tmp_path):
    promtool = need("promtool")
    rules = ROOT / "Examples/alerts.yaml"
    run(promtool, "check", "rules", rules)
    served = set(re.findall(r"^([a-z0-9_]+)[{ ]", metrics, re.MULTILINE))
    assert names("\n".join(line for line in rules.read_text().splitlines() if not line.lstrip().startswith("#"))) <= served | LATER
    # They fire when they should, and not before.
    (tmp_path / "test.yaml").write_text(f"""
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: headroom_build_info{{instance="a",device="sim:l40s",simulated="true",version="1"}}
        values: 1x30
      - series: nv_inference_request_failure{{instance="a",model="m",reason="REJECTED",version="1"}}
        values: 0x10 60+60x20
      - series: headroom_idle_seconds_total{{instance="a",model="m",cause="host_overhead",version="1"}}
        values: 0+6x60
      - series: headroom_instances{{instance="a",model="m",version="1"}}
        values: 1x60
    alert_rule_test:
      - {{eval_time: 4m, alertname: HeadroomSimulatedInProduction}}
      - eval_time: 6m
        alertname: HeadroomSimulatedInProduction
        exp_alerts:
          - exp_labels: {{severity: page, instance: a, device: "sim:l40s", simulated: "true", version: "1"}}
            exp_annotations: {{summary: "a serves from sim:l40s, a model of a GPU: its outputs are zero"}}
      - {{eval_time: 9m, alertname: HeadroomRequestsRejected}}
      - eval_time: 25m
        alertname: HeadroomRequestsRejected
        exp_alerts:
          - exp_labels: {{severity: page, instance: a, model: m}}
            exp_annotations: {{summary: "m on a rejects 1 requests/s", description: "The queue is full, or requests time out in it: Docs/findings/HR124-queue-rejections.md."}}
      # A tenth of the time is not much.
      - {{eval_time: 50m, alertname: HeadroomHostOverhead}}
""")
    run(promtool, "test", "rules", tmp_path / "test.yaml")


@pytest.mark.parametrize("limit, status", [("p99>20s", 0), ("p99>0.001ms", 2)])
def test_the_gate_for_ci_passes_and_fails(tmp_path, limit, status):
    report = tmp_path / "load.json"
    environment = {**os.environ, "HEADROOM": BINARY, "RATE": "20", "SECONDS_OF_LOAD": "2", "LATENCY_LIMIT": limit, "REPORT": str(report)}
    run(ROOT / "Examples/ci-performance-gate.sh", "builtin:linear", expect=status, env=environment)
    assert json.loads(report.read_text())["schema"].startswith("headroom.load/")
