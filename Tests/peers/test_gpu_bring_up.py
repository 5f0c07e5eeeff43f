"""`Scripts/gpu-bring-up` on the stand-ins for NVIDIA's libraries: what is done is not done again, what fails costs nothing else, and the table says what came of it."""
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest

import serving

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(serving.BINARY).parent
STANDIN = BUILD / "libheadroom-cuda-standin.so"
RESULTS = ROOT / "Benchmarks/GPU/results.py"
QUICK = "^(machine|prediction|libraries|linear|peers-linear|top|profile-graph|suite-graphs)$"


def environment(only=QUICK, **more):
    if not STANDIN.exists() or BUILD.parent.parent != ROOT / ".build" and BUILD.parent != ROOT / ".build":
        serving.skip_loudly(f"{STANDIN} is not in a build folder of this tree")
    return {**os.environ, "HEADROOM_BRING_UP_STAND_IN": str(STANDIN), "HEADROOM_BRING_UP_BUILD": BUILD.name, "HEADROOM_BRING_UP_ONLY": only, **more}


def bring_up(folder, only=QUICK, **more):
    return subprocess.run(["Scripts/gpu-bring-up", str(folder)], cwd=ROOT, env=environment(only, **more), capture_output=True, text=True, timeout=120)


def test_finished_steps_are_not_repeated_and_what_a_stand_in_cannot_do_is_said(tmp_path):
    first = bring_up(tmp_path)
    assert first.returncode == 0 and "linear: ok" in first.stdout and "suite-graphs: ok" in first.stdout, first.stdout + first.stderr
    assert "peers-linear: not on a stand-in" in first.stdout and not (tmp_path / "peers-linear.failed").exists()
    assert "peers-linear: not on a stand-in: PyTorch" in (tmp_path / "summary.txt").read_text()
    assert "neither hit nor miss" in first.stdout and " HIT" not in first.stdout and " MISS" not in first.stdout
    assert (tmp_path / "results.tar.gz").exists() and "predictions written" in (tmp_path / "summary.txt").read_text()
    # The prediction came first.
    assert (tmp_path / "prediction-linear.json").stat().st_mtime <= (tmp_path / "linear.out").stat().st_mtime
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.done")}
    second = bring_up(tmp_path)
    assert second.returncode == 0 and "linear: done before" in second.stdout
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.done")} == before


def test_a_step_that_fails_costs_nothing_else_and_is_tried_again_after_all_others(tmp_path):
    # A driver that cannot launch, and then one that can.
    only = "^(machine|profile-graph|top|linear)$"
    first = bring_up(tmp_path, only, HEADROOM_STANDIN_FAULTS="cuLaunchKernelEx=719:0:1000000,cuLaunchKernel=719:0:1000000,cuGraphLaunch=719:0:1000000")
    assert first.returncode == 1 and "top: ok" in first.stdout and "machine: ok" in first.stdout, first.stdout + first.stderr
    assert (tmp_path / "linear.failed").read_text().startswith("exit status 1") and "left: linear" in first.stdout
    again = bring_up(tmp_path, only)
    assert again.returncode == 0 and "linear: ok" in again.stdout and not list(tmp_path.glob("*.failed")), again.stdout
    assert (tmp_path / "linear.1.log").exists()


def test_too_little_memory_is_said_and_the_rest_is_done(tmp_path):
    only = "^(machine|linear|heads|top|profile-graph)$"
    result = bring_up(tmp_path, only, HEADROOM_STANDIN_MEMORY="20000")
    assert result.returncode == 1 and "top: ok" in result.stdout and "linear: failed" in result.stdout and "heads: failed" in result.stdout, result.stdout
    assert "do not fit on the GPU" in "".join(path.read_text() for path in tmp_path.glob("linear*.log"))


def test_the_order_is_correctness_then_the_table_then_all_else():
    script = (ROOT / "Scripts/gpu-bring-up").read_text()
    steps = [(name, int(limit)) for name, limit in re.findall(r"^\s+(?:step|peer) ([a-z-]+) (\d+) ", script, re.M)]
    order = list(dict.fromkeys(name for name, _ in steps))
    reached = [row.split("|")[2] for row in (ROOT / "Docs/gpu.md").read_text().split("| to be reached | step |")[1].splitlines() if row.startswith("| ")]
    table = list(dict.fromkeys(name for cells in reached[:-1] for name in re.findall(r"`([a-z-]+)`", cells)))
    assert all(name in order for name in table), [name for name in table if name not in order]
    # Even where every one of them ran into its limit, correctness leaves more than half of the time to the table.
    first = order.index("linear")
    assert set(order[:first]) >= {"machine", "prediction", "libraries", "kernels", "device"} and sum(dict(steps)[name] for name in order[:first]) < 270
    last = order.index("profile-records")
    assert {name for name in order[first:last + 1]} >= {"linear", "heads", "encoders", "layer-norm", "serve-python", "serve-triton", "bench-heads", "calibrate",
                                                        "profile-cost", "profile-throughput"}


def test_killed_in_the_middle_it_goes_on_where_it_stopped(tmp_path):
    only = "^(machine|profile-throughput|top)$"
    process = subprocess.Popen(["Scripts/gpu-bring-up", str(tmp_path)], cwd=ROOT, env=environment(only), stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (tmp_path / "profile-throughput.out").exists():
        time.sleep(0.02)
    child = int((tmp_path / ".running").read_text())
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=30)[0]
    assert process.returncode == 1 and "interrupted" in out and (tmp_path / "machine.done").exists()
    assert not (tmp_path / "profile-throughput.done").exists() and not pathlib.Path(f"/proc/{child}").exists()
    again = bring_up(tmp_path, only)
    assert again.returncode == 0 and "machine: done before" in again.stdout and "profile-throughput: ok" in again.stdout
    # What the first attempt printed is still there.
    assert (tmp_path / "profile-throughput.1.out").exists() or (tmp_path / "profile-throughput.1.log").exists() or (tmp_path / "profile-throughput.out").exists()


@pytest.mark.long
def test_killed_at_any_moment_nothing_is_lost_or_left_at_work(tmp_path):
    """SIGKILL, as when a machine is taken away: nothing can be tidied up; the next run ends what still works, and goes on."""
    only = "^(machine|prediction|linear|top|profile-.*|serve-triton|suite-.*)$"
    generator = random.Random(16)
    done = set()
    for _ in range(12):
        process = subprocess.Popen(["Scripts/gpu-bring-up", str(tmp_path)], cwd=ROOT, env=environment(only), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(generator.uniform(0.1, 6))
        except subprocess.TimeoutExpired:
            process.send_signal(generator.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            process.wait(30)
        now = {path.name for path in tmp_path.glob("*.done")}
        assert done <= now
        done = now
    last = bring_up(tmp_path, only)
    assert last.returncode == 0, last.stdout + last.stderr
    assert not list(tmp_path.glob("*.failed")) and not (tmp_path / ".running").exists()
    # Each finished once.
    good = [line.split()[0] for line in (tmp_path / "steps.txt").read_text().splitlines() if line.split()[2] == "0"]
    assert set(good) == {path.name.removesuffix(".done") for path in tmp_path.glob("*.done")}
    inside = [pid for pid in os.listdir("/proc") if pid.isdigit() and str(tmp_path) in command_line(pid)]
    assert not inside, [command_line(pid) for pid in inside]


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_the_time_is_kept_whatever_a_step_does(tmp_path):
    """A program that does not end, and does not heed being asked to."""
    python = tmp_path / "python"
    python.write_text("#!/bin/bash\ntrap '' TERM\nwhile :; do sleep 0.2; done\n")
    python.chmod(0o755)
    begun = time.monotonic()
    late = bring_up(tmp_path / "out", "^(serve-python|serve-triton)$", HEADROOM_BRING_UP_SECONDS="8", HEADROOM_BRING_UP_PYTHON=str(python),
                    VIRTUAL_ENV=sys.prefix)
    # Five seconds from asking to killing: with 540 they are within the ten that are kept back.
    assert time.monotonic() - begun < 8 + 5 + 4
    assert late.returncode == 1 and "serve-python: cut after" in late.stdout and "no time left, run this again" in late.stdout, late.stdout


def test_the_time_is_kept_and_two_do_not_run_at_once(tmp_path):
    environment()
    late = bring_up(tmp_path, HEADROOM_BRING_UP_SECONDS="2")
    assert late.returncode == 1 and "no time left, run this again" in late.stdout
    holder = subprocess.Popen(["flock", str(tmp_path / ".lock"), "sleep", "30"])
    try:
        time.sleep(0.3)
        assert bring_up(tmp_path).returncode == 3
    finally:
        holder.kill()
        holder.wait()


def test_without_a_gpu_nothing_is_run(tmp_path):
    environment()
    result = subprocess.run(["Scripts/gpu-bring-up", str(tmp_path / "none")], cwd=ROOT, capture_output=True, text=True, timeout=60,
                            env={**os.environ, "HEADROOM_BRING_UP_BUILD": BUILD.name, "HEADROOM_CUDA_PATH": "/nonexistent"})
    if result.returncode == 2:
        assert "no GPU here" in result.stderr and not list((tmp_path / "none").glob("*.failed"))


# MARK: - The table, from folders that say what they are

CSV = "model,rows,graphs,chain_kernels,batches,device_us_median,device_us_p10,device_us_p90,total_us_median\n"
PEERS = "model,rows,mode,batches,device_us_median,device_us_p10,device_us_p90\n"


def made(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", "-").replace("_OUT", ".out")).write_text(text)
    (folder / "machine.out").write_text("GPU 0  NVIDIA H200  driver 580.159.03\nLinux x 6.8 x86_64\ntorch 2.11.0\n")
    return folder


def summary(folder):
    result = subprocess.run([sys.executable, str(RESULTS), "summary", str(folder)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    return {lines[at]: lines[at + 2].rsplit(": ", 1)[-1] for at in range(len(lines) - 2) if lines[at + 1].startswith("    ") and not lines[at].startswith(" ")}


def test_a_ratio_of_one_run_decides_and_a_cut_line_does_not_count(tmp_path):
    made(tmp_path, linear_OUT="# NVIDIA H200\n" + CSV + "linear,1,true,true,900,26.5,26,27,60\nlinear,8,true,true,900,40.0,39,41,70\nlinear,32,tr",
         peers__linear_OUT="# torch\n" + PEERS + "linear,1,graph,900,188.0,187,189\nlinear,8,graph,900,122.0,121,123\n")
    said = summary(tmp_path)
    assert said["linear, fp16, 1 row, device time per batch"] == "HIT" and said["linear, fp16, 8 rows, device time per batch"] == "MISS"
    assert said["linear, fp16, 32 rows, device time per batch"] not in ("HIT", "MISS")


def test_without_the_peer_the_published_figure_stands_in_and_is_named(tmp_path):
    made(tmp_path, linear_OUT=CSV + "linear,1,true,true,900,26.5,26,27,60\n")
    text = subprocess.run([sys.executable, str(RESULTS), "summary", str(tmp_path)], capture_output=True, text=True).stdout
    assert "27 us on an H200 (PyTorch's graph was not measured: peers-linear: not run): HIT" in text


def test_an_earlier_attempt_counts_where_a_later_one_says_nothing(tmp_path):
    made(tmp_path, linear_OUT=CSV + "linear,1,true,true,900,26.5,26,27,60\n")
    (tmp_path / "linear.1.out").write_text(CSV + "linear,1,true,true,900,99,98,100,60\nlinear,8,true,true,900,29.0,28,30,60\n")
    (tmp_path / "peers-linear.out").write_text(PEERS + "linear,1,graph,900,188.0,187,189\nlinear,8,graph,900,122.0,121,123\n")
    said = summary(tmp_path)
    assert said["linear, fp16, 1 row, device time per batch"] == said["linear, fp16, 8 rows, device time per batch"] == "HIT"


def test_the_page_is_made_between_its_marks(tmp_path):
    made(tmp_path, linear_OUT=CSV + "linear,1,true,true,900,26.5,26,27,60\n")
    page = tmp_path / "page.md"
    marks = [line for line in (ROOT / "Docs/gpu.md").read_text().splitlines() if line.startswith("<!-- ")]
    assert len(marks) == 2
    page.write_text("before\n" + marks[0] + "\nold\n" + marks[1] + "\nafter\n")
    for _ in range(2):
        subprocess.run([sys.executable, str(RESULTS), "page", str(tmp_path)], check=True, env={**os.environ, "HEADROOM_GPU_PAGE": str(page)})
        text = page.read_text()
        assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and text.count("## Measured") == 1 and "| HIT |" in text


@pytest.mark.parametrize("name", ["linear.out", "bench-heads.out", "ledger.jsonl", "profile-cost.out", "serve-triton.out", "profile-records.out", "calibrate.out"])
@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "null\n", "\x00\xff\n", "model,rows\n1\n", json.dumps({"cuda": None, "measured": {"variants": [{}]}})])
def test_whatever_a_step_left_the_table_is_printed(tmp_path, name, content):
    made(tmp_path)
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    assert "not measured" in subprocess.run([sys.executable, str(RESULTS), "summary", str(tmp_path)], capture_output=True, text=True, check=True).stdout
