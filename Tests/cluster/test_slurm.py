"""Examples/load-slurm.sh on a Slurm of four nodes, all of them on this machine: munged, slurmctld and four slurmd of our own, on free ports."""
import os
import signal
import socket
import subprocess

import pytest
from shared_run import BINARY, ROOT, TASKS, check_invalid, check_whole, model_server, until

NODES = 4


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment in which srun and sbatch find this cluster."""
    place = tmp_path_factory.mktemp("slurm")
    for name in ("state", "log", "run", *(f"spool/n{node}" for node in range(NODES))):
        (place / name).mkdir(parents=True)
    key = place / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    controller, *ports = free_ports(1 + NODES)
    (place / "slurm.conf").write_text(f"""ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={place}/run/munge.socket
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool/%n
SlurmctldPidFile={place}/run/slurmctld.pid
SlurmdPidFile={place}/run/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
""" + "".join(f"NodeName=n{node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=500\n" for node, port in enumerate(ports))
        + "PartitionName=all Nodes=ALL Default=YES MaxTime=10 State=UP\n")
    environment = {**os.environ, "SLURM_CONF": str(place / "slurm.conf"), "HEADROOM": BINARY, "HEADROOM_LOAD_LEAD": "4"}
    daemons = []

    def start(name, *command):
        with (place / f"log/{name}").open("w") as log:
            daemons.append(subprocess.Popen(list(command), env=environment, stdout=log, stderr=log))

    def states():
        return subprocess.run(["sinfo", "-h", "-N", "-o", "%T"], env=environment, capture_output=True, text=True).stdout.split()

    try:
        start("munged", "munged", "-F", "--force", f"--key-file={key}", f"--socket={place}/run/munge.socket", f"--pid-file={place}/run/munged.pid",
              f"--log-file={place}/log/munged.log", f"--seed-file={place}/run/munged.seed")
        assert until(lambda: (place / "run/munge.socket").exists())
        start("slurmctld", "slurmctld", "-D", "-c")
        for node in range(NODES):
            start(f"slurmd-n{node}", "slurmd", "-D", "-N", f"n{node}")
        if not until(lambda: states() == ["idle"] * NODES, 60):
            raise AssertionError("\n".join(f"{path.name}:\n{path.read_text()[-1500:]}" for path in (place / "log").iterdir()))
        yield environment
    finally:
        # The last first: slurmctld hears of its nodes' end, and munged goes when nobody asks it any more.
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with model_server(tmp_path_factory.mktemp("models")) as server:
        yield server


def submit(slurm, folder, arguments, **options):
    """The example as a batch job of three nodes; ends as the job does."""
    return subprocess.Popen(
        ["sbatch", "--wait", f"--nodes={TASKS}", f"--output={folder}/out", str(ROOT / "Examples/load-slurm.sh"), *arguments],
        env={**slurm, "HEADROOM_LOAD_FOLDER": str(folder / "parts")}, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Job:
    """An sbatch whose output is the job's."""

    def __init__(self, process, folder):
        self.process, self.folder, self.terminate, self.kill = process, folder, process.terminate, process.kill

    def communicate(self, timeout=None):
        self.process.communicate(timeout=timeout)
        return (self.folder / "out").read_text(), ""

    @property
    def returncode(self):
        return self.process.returncode


def test_the_tasks_of_a_job_are_one_run(slurm, server, tmp_path):
    def run(arguments):
        job = Job(submit(slurm, tmp_path, arguments), tmp_path)
        text, _ = job.communicate(120)
        return job.returncode, text

    check_whole(server, run, tmp_path / "parts")


def test_a_job_that_lost_a_task_is_no_run(slurm, server, tmp_path):
    check_invalid(server, lambda arguments: Job(submit(slurm, tmp_path, arguments), tmp_path), lambda pid: os.kill(pid, signal.SIGKILL))
