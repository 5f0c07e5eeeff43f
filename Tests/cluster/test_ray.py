"""Examples/load_ray.py on a Ray cluster of three raylets, all of them on this machine."""
import os
import signal
import subprocess
import sys

import pytest
from shared_run import BINARY, ROOT, TASKS, Ended, check_invalid, check_whole, model_server

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster  # noqa: E402


@pytest.fixture
def cluster():
    """A core each, so that every raylet gets a task."""
    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(TASKS - 1):
            cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with model_server(tmp_path_factory.mktemp("models")) as server:
        yield server


def start(cluster, arguments, folder):
    command = [sys.executable, str(ROOT / "Examples/load_ray.py"), "--address", cluster.address, "--program", BINARY, "--lead", "12", "--folder",
               str(folder), "--", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_tasks_of_a_cluster_are_one_run(cluster, server, tmp_path):
    def run(arguments):
        ended = Ended(start(cluster, arguments, tmp_path))
        return ended.code, ended.out + ended.error

    check_whole(server, run, tmp_path)


def test_a_cluster_that_lost_a_worker_is_no_run(cluster, server, tmp_path):
    """The worker's process is killed with what it runs, as the kernel does that is out of memory."""
    def kill(pid):
        parent = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
        os.kill(parent, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)

    check_invalid(server, lambda arguments: start(cluster, arguments, tmp_path), kill)


def test_a_cluster_that_lost_a_node_is_no_run(cluster, server, tmp_path):
    """Nobody is left there who would hand over its part, whichever that is."""
    def kill(_):
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    check_invalid(server, lambda arguments: start(cluster, arguments, tmp_path), kill, lost=rf"[0-{TASKS - 1}]/{TASKS}")
