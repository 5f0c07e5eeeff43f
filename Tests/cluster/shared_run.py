"""What both clusters are asked: a run of several tasks is whole, to the request; a run that lost a worker is none."""
import contextlib
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/peers"))
from loading import Ended, load  # noqa: E402
from serving import BINARY, add, identity, serve, until  # noqa: E402

TASKS = 3
SECONDS = 4


@contextlib.contextmanager
def model_server(folder):
    add(folder, "fast", identity("fast", [16], 8))
    with serve(folder) as server:
        yield server


def arguments(server, seconds=SECONDS):
    # Zeros: one request of each task is sent before the run, to see what its answer looks like.
    return ["--model", "fast", "--url", server.http, "--data", "zero", "--rate", "300", "--poisson", "--seed", "9", "--warmup", "0",
            "--duration", str(seconds)]


def answered(server):
    return int(json.loads(server.get("/v2/models/fast/stats").body)["model_stats"][0]["inference_stats"]["success"]["count"])


def check_whole(server, run, folder):
    """`run(arguments)` gives exit code and text of a shared run, whose parts are in `folder`: its count is the server's, and that of one process
    alone."""
    alone = load("--json", "--quiet", *arguments(server))
    assert alone.code == 0, alone
    before = answered(server)
    code, text = run(arguments(server))
    assert code == 0, text
    merged = load("merge", "--json", *sorted(folder.glob("part-*.hlog")))
    assert merged.code == 0, merged
    document = json.loads(merged.out)
    assert [part["share"] for part in document["parts"]] == [f"{task}/{TASKS}" for task in range(TASKS)]
    assert document["responses"] == json.loads(alone.out)["responses"] and document["errors"] == 0
    assert document["responses"] + TASKS == answered(server) - before
    assert f"{document['responses']:,} responses, 0 errors" in text, text


def generator(share):
    """The process that sends this share, once there is one."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if os.path.basename(words[0]) == os.path.basename(BINARY).encode() and b"--share" in words:
                if words[words.index(b"--share") + 1] == share.encode():
                    return int(path.parent.name)
    return None


def check_invalid(server, run, kill, lost=f"1/{TASKS}"):
    """`run(arguments)` gives a process; `kill(pid)` ends, in the middle of the run, what share 1 is sent by, or what else is `lost`."""
    before = answered(server)
    process = run(arguments(server))
    try:
        assert until(lambda: answered(server) > before + 300, 60)
        kill(generator(f"1/{TASKS}"))
    except BaseException:
        process.terminate()
        raise
    ended = Ended(process)
    assert ended.code == 4, ended
    said = ended.out + ended.error
    assert "the run is not valid" in said and re.search(f"missing: part {lost}", said) and "requests/s" not in said, said
