"""A server that stands still for a second, as four measurements show it: figures on standard output, the figure as SVG.

    python3 Benchmarks/Load/stall.py [--binary .build/release/headroom] [--output Docs/load-stall.svg]

Needs nginx and wrk. nginx's worker is stopped for one second of ten (SIGSTOP), in every measurement alike. wrk's answers are timed by a script of
ours beside what wrk prints of them (answers.lua).
"""
import argparse
import contextlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests/peers"))
import loading  # noqa: E402

SECONDS, STALL, RATE, USERS = 10, 1.0, 500, 4
PERCENTILES = [100 * (1 - 10 ** (-step / 12)) for step in range(0, 12 * 5 + 1)]


@contextlib.contextmanager
def stalling(worker):
    """Four seconds from now the worker stands still for one."""
    def stall():
        time.sleep(4)
        loading.stall(worker, STALL)
    thread = threading.Thread(target=stall)
    thread.start()
    yield
    thread.join()


def curve(values):
    """(nines, seconds) of sorted values, as far as there is a value to the right."""
    return [
        (-math.log10(1 - percentile / 100), values[min(len(values) - 1, math.ceil(len(values) * percentile / 100) - 1 if percentile else 0)])
        for percentile in PERCENTILES if len(values) * (1 - percentile / 100) >= 1]


def decode(log):
    """Values of a histogram log's untagged entries, as many of each as it counts; see HdrHistogram's V2 form."""
    import base64
    import zlib
    values = []
    for line in log.splitlines():
        if line.startswith(("#", '"', "Tag=")):
            continue
        packed = base64.b64decode(line.split(",")[-1])
        plain = zlib.decompress(packed[8:])[40:]
        position = index = 0
        while position < len(plain):
            value = shift = 0
            for group in range(9):
                byte = plain[position]
                position += 1
                value |= (byte & 0x7F if group < 8 else byte) << shift
                shift += 7
                if group < 8 and byte < 0x80:
                    break
            number = (value >> 1) ^ -(value & 1)
            if number < 0:
                index -= number
                continue
            bucket = max(0, (index >> 10) - 1)
            sub = (index & 1023) + 1024 if index >= 1024 else index
            values += [(sub << bucket) / 1e9] * number
            index += 1
    return sorted(values)


def measure(options, folder, url, master):
    worker = int(loading.until(lambda: pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split(), 5)[0])
    curves = []
    for name, pace in ((f"headroom load, open loop, {RATE}/s", ["--rate", RATE]), (f"headroom load, closed loop, {USERS} users", ["--users", USERS])):
        log = folder / "run.hlog"
        command = [options.binary, "load", url, *map(str, pace), "--duration", str(SECONDS), "--warmup", "0", "--hdr-log", str(log), "--json", "--quiet"]
        with stalling(worker):
            document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        curves.append((name, curve(decode(log.read_text()))))
        assert document["errors"] == 0
    wanted = ",".join(f"{percentile:.6f}" for percentile in PERCENTILES)
    with stalling(worker):
        result = loading.wrk_result(loading.start_wrk(
            url, USERS, SECONDS, folder, threads=USERS, script=loading.ANSWERS_SCRIPT, environment={"PERCENTILES": wanted}))
    for name, key in (("what each of wrk's answers took", "answers"), ("what wrk prints, with the samples it adds", "printed")):
        points = [(-math.log10(1 - float(percentile) / 100), values[key] / 1e6) for percentile, values in result["percentiles"].items()]
        curves.append((f"wrk, {USERS} connections: {name}", sorted(point for point in points if point[1] > 0)))
    return curves


def text(seconds):
    return f"{seconds:.2f} s" if seconds >= 0.9995 else f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def svg(curves):
    left, right, top, bottom = 70, 740, 74, 330
    low, high, most = -5, 0.3, 5
    lines = [f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 470" font-family="system-ui, sans-serif" font-size="13">
<style>
svg {{ --ink: #1b1f24; --faint: #8a939e; --paper: #ffffff; --line0: #0b62c4; --line1: #b3470b; --line2: #1c7a3d; --line3: #7a2fa0; }}
@media (prefers-color-scheme: dark) {{
  svg {{ --ink: #e8eaed; --faint: #7d8791; --paper: #15181c; --line0: #6db3ff; --line1: #ff9a5c; --line2: #6fd694; --line3: #d39bf2; }}
}}
text {{ fill: var(--ink); }} .faint {{ fill: var(--faint); }} .paper {{ fill: var(--paper); }} .axis {{ stroke: var(--faint); }}
path {{ fill: none; stroke-width: 2; }}
</style>
<rect class="paper" width="760" height="470"/>
<text x="20" y="24" font-weight="600">A server that stands still for one second of ten</text>
<text class="faint" x="20" y="44" font-size="12">Latency by percentile, measured. An open loop asks on while the server stalls; of a closed one each user asks once.</text>"""]

    def across(nines):
        return left + nines / most * (right - left)

    def along(seconds):
        return bottom - (math.log10(seconds) - low) / (high - low) * (bottom - top)

    for exponent in range(-5, 1):
        y = along(10 ** exponent)
        lines.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke-opacity="0.3"/>')
        lines.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{text(10.0 ** exponent).replace(".00", "")}</text>')
    for nines, name in enumerate(("0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %")):
        lines.append(f'<text x="{across(nines):.1f}" y="{bottom + 18}" text-anchor="{"end" if nines == most else "middle"}">{name}</text>')
    lines.append(f'<text x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle">percentile</text>')
    for index, (name, points) in enumerate(curves):
        dash = ("", "6 3", "2 3", "8 3 2 3")[index]
        style = f'style="stroke: var(--line{index})"' + (f' stroke-dasharray="{dash}"' if dash else "")
        path = "".join(f"{'L' if number else 'M'}{across(x):.1f} {along(y):.1f}" for number, (x, y) in enumerate(points))
        lines.append(f'<path {style} d="{path}"><title>{name}</title></path>')
        lines.append(f'<path {style} d="M{left} {bottom + 62 + 20 * index}h28"/>')
        lines.append(f'<text x="{left + 36}" y="{bottom + 66 + 20 * index}">{name}</text>')
    return "\n".join(lines) + "\n</svg>\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/headroom")
    parser.add_argument("--output", default="Docs/load-stall.svg")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        with loading.nginx(folder / "nginx") as (address, process):
            curves = measure(options, folder, f"http://{address}/", process.pid)
    for name, points in curves:
        at = {}
        for wanted in (50, 99, 99.9, 99.99):
            nines = -math.log10(1 - wanted / 100)
            at[wanted] = next((y for x, y in points if x >= nines - 1e-9), points[-1][1])
        print(f"{name}: " + ", ".join(f"p{key:g} {text(value)}" for key, value in at.items()))
    pathlib.Path(options.output).write_text(svg(curves))


if __name__ == "__main__":
    main()
