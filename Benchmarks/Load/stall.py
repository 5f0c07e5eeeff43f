#!/usr/bin/env python3
"""A server that stands still for a second, as four stopwatches see it; draws Docs/images/stall.svg and prints its figures as Markdown.

    Benchmarks/Load/stall.py [--seconds 10] [--output Docs/images/stall.svg]

Needs wrk from Debian. The server is `headroom serve` with an identity model, stopped with SIGSTOP in the middle of each run.
"""
import argparse
import json
import math
import pathlib
import sys
import tempfile
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/peers"))
import loading  # noqa: E402
import serving  # noqa: E402

RATE, CONNECTIONS = 1000, 8
PERCENTILES = {"50": "p50", "75": "p75", "90": "p90", "95": "p95", "99": "p99", "99.9": "p99_9", "99.99": "p99_99"}
COLOURS = ["#c0392b", "#e69f00", "#2c7fb8", "#7f8c8d", "#238b45"]


def answered(server):
    return int(json.loads(server.get("/v2/models/fast/stats").body)["model_stats"][0]["inference_stats"]["success"]["count"])


def stalled(server, process, seconds):
    """A run whose server stands still for a second once a third of it is over."""
    first = answered(server)
    assert serving.until(lambda: answered(server) > first + RATE * seconds / 3, seconds)
    loading.stall(server.process.pid, 1)
    return process


def measure(seconds):
    """Milliseconds by percentile, by stopwatch."""
    with tempfile.TemporaryDirectory(prefix="headroom-stall-") as folder:
        serving.add(folder, "fast", serving.identity("fast", [16], 8))
        with serving.serve(folder) as server:
            options = ["--json", "--quiet", "--model", "fast", "--url", server.http, "--warmup", 0, "--duration", seconds]

            def ours(*arguments):
                ended = loading.Ended(stalled(server, loading.start(*options, *arguments), seconds))
                assert ended.code == 0, ended
                return json.loads(ended.out)

            open_loop = ours("--rate", RATE, "--max-connections", CONNECTIONS)
            closed_loop = ours("--users", CONNECTIONS, "--spawn-rate", 1000)
            process = loading.start_wrk(
                f"http://{server.http}/v2/models/fast/infer", CONNECTIONS, seconds, folder, threads=CONNECTIONS, script=loading.ANSWERS_SCRIPT)
            wrk = loading.wrk_result(stalled(server, process, seconds))["percentiles"]

    def points(histogram):
        return {percentile: histogram[name + "Microseconds"] / 1000 for percentile, name in PERCENTILES.items()}

    return {
        f"open loop, {RATE:,}/s, from the instant a request was due": points(open_loop["latency"]),
        "the same run, uncorrected: from the send": points(open_loop["latencySinceSend"]),
        f"wrk, {CONNECTIONS} connections, as measured": {name: wrk[name]["answers"] / 1000 for name in PERCENTILES},
        "the same run, as wrk prints it: with its guess of what it missed": {name: wrk[name]["printed"] / 1000 for name in PERCENTILES},
        f"closed loop, {CONNECTIONS} users": points(closed_loop["latency"]),
    }


def table(series):
    lines = ["| | " + " | ".join("p" + name for name in PERCENTILES) + " |", "|---" * (len(PERCENTILES) + 1) + "|"]
    for name, points in series.items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" if value < 100 else f"{value:.0f}" for value in points.values()) + " |")
    return "\n".join(lines)


def drawing(series, seconds):
    """Both axes logarithmic: nines to the right, milliseconds upwards."""
    width, height, left, right, top, bottom = 760, 450, 64, 34, 44, 140
    values = [value for points in series.values() for value in points.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    nines = {name: -math.log10(1 - float(name) / 100) for name in PERCENTILES}
    first, last = min(nines.values()), max(nines.values())

    def x(name):
        return left + (nines[name] - first) / (last - first) * (width - left - right)

    def y(value):
        return top + (high - math.log10(value)) / (high - low) * (height - top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="20" font-size="14">A server that stands still for 1 s of {seconds}: latency by percentile, ms</text>']
    for power in range(low, high + 1):
        parts.append(f'<path d="M{left} {y(10**power):.1f}H{width - right}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y(10**power) + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    for name in PERCENTILES:
        parts.append(f'<path d="M{x(name):.1f} {top}V{height - bottom}" stroke="#eee"/>'
                     f'<text x="{x(name):.1f}" y="{height - bottom + 18}" text-anchor="middle">p{name}</text>')
    for number, (name, points) in enumerate(series.items()):
        line = " ".join(f"{x(percentile):.1f},{y(value):.1f}" for percentile, value in points.items())
        dashes = ' stroke-dasharray="6 4"' if "the same run" in name else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[number]}" stroke-width="2"{dashes}/>')
        at = height - bottom + 42 + 20 * number
        parts.append(f'<path d="M{left} {at - 4}h34" stroke="{COLOURS[number]}" stroke-width="2"{dashes}/>'
                     f'<text x="{left + 44}" y="{at}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "Docs/images/stall.svg")
    options = parser.parse_args()
    series = measure(options.seconds)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(drawing(series, options.seconds))
    print(table(series))


if __name__ == "__main__":
    main()
