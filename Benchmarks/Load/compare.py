"""What the load generator costs beside wrk: CPU time a request in the same run, memory of many users, punctuality of an open loop.

    python3 Benchmarks/Load/compare.py [--binary .build/release/headroom] [--own-cores]

Needs wrk and nginx; `--own-cores` (root, two cores or more) gives nginx and the generators a core each before everybody else's work (chrt, taskset),
which is what an idle machine is.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

# A KServe v2 request of one row of 16 numbers, as the generator sends it.
HEADER = b'{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","parameters":{"binary_data_size":64}}],"parameters":{"binary_data_output":true}}'
BODY = HEADER + bytes(range(33, 97))


def run(command, cores):
    """Output, CPU seconds and peak KiB of a command."""
    process = subprocess.Popen(prefix(cores, 1) + command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def prefix(cores, core):
    return ["chrt", "-f", "20", "taskset", "-c", str(core)] if cores else []


def nginx(folder, cores):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "nginx.conf").write_text(f"""
        worker_processes 1; error_log {folder}/error.log; pid {folder}/pid; daemon off;
        events {{ worker_connections 15000; }}
        http {{
          access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
          fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
          server {{ listen 127.0.0.1:{port} backlog=15000; location / {{ return 200 "0123456789abcdef"; }} }}
        }}""")
    process = subprocess.Popen(prefix(cores, 0) + ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, f"http://127.0.0.1:{port}/"
        except OSError:
            time.sleep(0.05)


def serve(options, folder):
    """Our own server with a model that copies, on the first core."""
    model = folder / "models/copy"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(
        'name: "copy" backend: "identity" max_batch_size: 8 input [ { name: "input" data_type: TYPE_FP32 dims: [16] } ] '
        'output [ { name: "output" data_type: TYPE_FP32 dims: [16] } ] instance_group [ { count: 1 kind: KIND_CPU } ]')
    process = subprocess.Popen(
        prefix(options.own_cores, 0) + [
            options.binary, "serve", "--model-repository", str(folder / "models"), "--http-address", "127.0.0.1", "--http-port", "0",
            "--grpc-port", "0", "--metrics-port", "0"], stderr=subprocess.PIPE, text=True)
    address = None
    for line in process.stderr:
        if line.startswith("HTTP on "):
            address = line.split()[-1]
        if line.strip() == "ready":
            return process, address
    raise SystemExit("the server did not become ready")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/headroom")
    parser.add_argument("--own-cores", action="store_true")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    cores = options.own_cores
    for program in ("wrk", "nginx"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        process, url = nginx(folder, cores)
        try:
            cost(options, folder, url)
            lag(options, url)
            memory(options, url)
        finally:
            process.terminate()
            process.wait()
        process, address = serve(options, folder)
        try:
            checked(options, folder, address)
        finally:
            process.terminate()
            process.wait()


def checked(options, folder, address):
    """Against our server; every answer's shapes are checked, which wrk does not."""
    theirs, own = [], []
    for _ in range(options.repetitions):
        url = f"http://{address}/v2/models/copy/infer"
        text, cpu, _ = run(["wrk", "-t1", "-c16", "-d3", "-s", str(folder / "post.lua"), url], options.own_cores)
        theirs.append(cpu / int(re.search(r"(\d+) requests in", text)[1]) * 1e6)
        text, cpu, _ = run([
            options.binary, "load", "--model", "copy", "--url", address, "--users", "16", "--spawn-rate", "100000", "--duration", "3", "--warmup",
            "0", "--json", "--quiet"], options.own_cores)
        own.append(cpu / json.loads(text)["answers"] * 1e6)
    ratio = statistics.median(a / b for a, b in zip(own, theirs))
    print(
        f"our server, 16 users, shapes checked: wrk {statistics.median(theirs):.2f} us of CPU a request, headroom load "
        f"{statistics.median(own):.2f} us: {ratio:.2f} times", flush=True)


def cost(options, folder, url):
    body, script = folder / "body.bin", folder / "post.lua"
    body.write_bytes(BODY)
    escaped = "".join(f"\\{byte:03d}" for byte in BODY)
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = '{escaped}'\nwrk.headers['Content-Type'] = 'application/octet-stream'\n"
        f"wrk.headers['Inference-Header-Content-Length'] = '{len(HEADER)}'\n")
    for users in (1, 8, 64):
        theirs, own, rates = [], [], []
        for _ in range(options.repetitions):
            text, cpu, _ = run(["wrk", "-t1", f"-c{users}", "-d3", "-s", str(script), url], options.own_cores)
            requests = int(re.search(r"(\d+) requests in", text)[1])
            theirs.append(cpu / requests * 1e6)
            text, cpu, _ = run([
                options.binary, "load", url, "--body-file", str(body), "--header", "Content-Type: application/octet-stream", "--header",
                f"Inference-Header-Content-Length: {len(HEADER)}", "--users", str(users), "--spawn-rate", "100000", "--duration", "3",
                "--warmup", "0", "--json", "--quiet"], options.own_cores)
            document = json.loads(text)
            own.append(cpu / document["answers"] * 1e6)
            rates.append((requests / 3, document["requestsPerSecond"]))
        ratio = statistics.median(a / b for a, b in zip(own, theirs))
        print(
            f"{users:3} users: wrk {statistics.median(theirs):.2f} us of CPU a request, headroom load {statistics.median(own):.2f} us: "
            f"{ratio:.2f} times (requests/s {statistics.median(r[0] for r in rates):,.0f} and {statistics.median(r[1] for r in rates):,.0f})",
            flush=True)


def lag(options, url):
    for rate in (1000, 20000):
        texts = []
        for _ in range(options.repetitions):
            text, _, _ = run(
                [options.binary, "load", url, "--rate", str(rate), "--duration", "5", "--warmup", "1", "--json", "--quiet"], options.own_cores)
            document = json.loads(text)
            generator = document["generator"]
            texts.append((generator["sendLag"]["p99Microseconds"], generator["sendLag"]["p50Microseconds"], generator["busiestThreadShare"],
                          document["requestsPerSecond"], generator["verdict"]))
        texts.sort()
        print(
            f"{rate} requests/s: send lag p99 {texts[len(texts) // 2][0]:.0f} us (from {texts[0][0]:.0f} to {texts[-1][0]:.0f}), p50 "
            f"{texts[len(texts) // 2][1]:.1f} us, {100 * texts[len(texts) // 2][2]:.0f} % of a core, {texts[len(texts) // 2][3]:,.0f} answered/s, "
            f"{texts[len(texts) // 2][4]}", flush=True)


def memory(options, url):
    text, _, peak = run(
        [options.binary, "load", url, "--users", "10000", "--spawn-rate", "5000", "--think", "uniform:0.5,1.5", "--duration", "10", "--json",
         "--quiet"], options.own_cores)
    document = json.loads(text)
    print(
        f"10,000 users: {peak / 1024:.0f} MiB at most, {document['requestsPerSecond']:,.0f} requests/s, {document['errors']} errors, "
        f"{100 * document['generator']['busiestThreadShare']:.0f} % of a core")


if __name__ == "__main__":
    main()
