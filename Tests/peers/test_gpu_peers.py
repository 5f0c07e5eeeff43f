"""The peers' side of the GPU benchmarks on a stand-in for PyTorch (fake_torch.py): what is captured, what is kept alive, what one failure costs."""
import csv
import io
import pathlib
import sys

import numpy
import pytest

GPU = pathlib.Path(__file__).resolve().parents[2] / "Benchmarks/GPU"
sys.path.insert(0, str(GPU))

import fake_torch  # noqa: E402
import peers  # noqa: E402
import python_server  # noqa: E402
from torch_graph import captured  # noqa: E402


@pytest.fixture(autouse=True)
def torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch)
    monkeypatch.setattr(fake_torch, "memory_limit", None)
    fake_torch.log.clear()
    return fake_torch


def test_a_call_is_run_beside_before_it_is_captured_and_replays_read_the_argument_anew(torch):
    given = torch.zeros(3, 4, dtype=torch.float16)
    graph, answer = captured(torch, torch.nn.Sequential(), given)
    assert torch.log == [("wait", "side", "main")] + 3 * [("run", "side", False)] + [("wait", "main", "side"), ("captured", "main", False)]
    for value in (1, 5):
        given.array[:] = value
        graph.replay()
        assert (answer.array == 4 * value).all()


def test_the_python_servers_graphs_are_one_per_number_of_rows(torch):
    words, run = python_server.torch_engine(layers=3, hidden=8)
    assert "CUDA graph" in words
    generator = numpy.random.default_rng(2)
    for rows in (1, 4, 1, 4):
        given = generator.standard_normal((rows, 8)).astype(numpy.float32)
        answer = numpy.frombuffer(run(given.tobytes(), rows), numpy.float32).reshape(rows, 2)
        expected = given.astype(numpy.float16).astype(numpy.float32).sum(axis=1, keepdims=True)
        assert abs(answer - expected).max() < 0.02
    assert sum(entry[0] == "captured" for entry in torch.log) == 2 and sum(entry[0] == "replay" for entry in torch.log) == 4


def run_peers(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["peers.py", "--seconds", "0.00001", *arguments])
    with pytest.raises(SystemExit) as ended:
        peers.main()
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if not line.startswith("#")]
    return ended.value.code, [(row["model"], int(row["rows"]), row["mode"]) for row in csv.DictReader(io.StringIO("\n".join(lines)))], err


def test_every_line_is_timed_without_gradients(torch, monkeypatch, capsys):
    code, rows, err = run_peers(monkeypatch, capsys, "--models", "linear,copy", "--modes", "eager,graph,compile")
    assert code == 0 and err == ""
    assert rows == [("linear", count, "eager") for count in peers.HEADS] + [("linear", count, "graph") for count in peers.HEADS] + [
        ("copy", 32768, "graph")] + [("linear", count, "compile") for count in peers.HEADS]
    assert all(entry[2] is True for entry in torch.log if entry[0] in ("run", "captured", "replay"))


def test_what_does_not_fit_costs_nothing_else(torch, monkeypatch, capsys):
    # Room for the model and inputs of up to 64 rows, not for more, and not for the copy's 67 MB.
    monkeypatch.setattr(torch, "memory_limit", 200_000)
    code, rows, err = run_peers(monkeypatch, capsys, "--models", "copy,linear", "--modes", "graph")
    assert code == 1
    assert rows == [("linear", count, "graph") for count in (1, 8, 32, 64)]
    assert err.count("OutOfMemoryError") == 3 and "copy, 32768 rows" in err and "linear, 256 rows" in err
    # Nothing fits.
    monkeypatch.setattr(torch, "memory_limit", 100)
    code, rows, err = run_peers(monkeypatch, capsys, "--models", "linear,copy", "--modes", "graph,eager")
    assert code == 1 and rows == [] and err.count("OutOfMemoryError") == 13
