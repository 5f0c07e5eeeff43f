"""`Scripts/gpu-bring-up` on the stand-ins for NVIDIA's libraries: what is done is not done again, what fails costs nothing else, and the table says what came of it."""
import json
import os
import pathlib
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


def test_finished_steps_are_not_repeated_and_a_failed_one_costs_nothing_else(tmp_path):
    first = bring_up(tmp_path)
    # PyTorch is no part of the tests.
    has_torch = subprocess.run(["python3", "-c", "import torch; assert torch.cuda.is_available()"], capture_output=True).returncode == 0
    assert "linear: ok" in first.stdout and "suite-graphs: ok" in first.stdout, first.stdout + first.stderr
    assert (tmp_path / "peers-linear.done").exists() == has_torch and first.returncode == (0 if has_torch else 1)
    assert "neither hit nor miss" in first.stdout and " HIT" not in first.stdout and " MISS" not in first.stdout
    assert (tmp_path / "results.tar.gz").exists() and "predictions written" in (tmp_path / "summary.txt").read_text()
    # The prediction came first.
    assert (tmp_path / "prediction-linear.json").stat().st_mtime <= (tmp_path / "linear.out").stat().st_mtime
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.done")}
    second = bring_up(tmp_path)
    assert "linear: done before" in second.stdout and {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.done")} == before


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
