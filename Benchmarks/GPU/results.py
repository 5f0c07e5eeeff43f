#!/usr/bin/env python3
"""What a folder of Scripts/gpu-bring-up holds, against what is to be reached.

    Benchmarks/GPU/results.py summary FOLDER     a line per row: hit, miss, or why it was not measured
    Benchmarks/GPU/results.py page FOLDER        the same as Markdown, into Docs/gpu.md between its two marks
    Benchmarks/GPU/results.py findings FOLDER    codes of the findings that the experiment showed, whose fixes can be tried

Every attempt of a step counts (STEP.1.out, STEP.2.out, ..., STEP.out), a later one over an earlier one. A ratio is of two figures of this folder; where the
peer is missing the row is held against the H200's published figure, and says so. Nothing of a stand-in is called hit or miss.
"""
import csv
import io
import json
import math
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- made by Scripts/gpu-bring-up page FOLDER: begin -->", "<!-- end -->"
# H200, microseconds per batch (PyTorch 2.11's CUDA graph) and what is to be reached there: absolute, and as a ratio.
LINEAR = {1: (27, 6.5), 8: (30, 4), 32: (42, 3), 64: (50, 2.7), 128: (60, 2.2), 256: (78, 1.9)}


class Results:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            sys.exit(f"{folder}: no such folder")
        self.machine = self.text("machine")
        self.is_stand_in = "stand-in" in self.machine or (self.folder / "reduced.yaml").exists()

    def attempts(self, step, kind="out"):
        """Contents of a step's files, the earliest first."""
        numbered = sorted(self.folder.glob(f"{step}.[0-9]*.{kind}"), key=lambda path: int(path.name.split(".")[-2]))
        last = self.folder / f"{step}.{kind}"
        return [path.read_text(errors="replace") for path in numbered + ([last] if last.exists() else [])]

    def text(self, step):
        return "\n".join(self.attempts(step))

    def rows(self, *steps):
        """Lines of CSV of all attempts, by model and rows and the rest of what identifies them."""
        found = {}
        for step in steps:
            for text in self.attempts(step):
                lines = [line for line in text.splitlines() if line and not line.startswith("#")]
                for row in csv.DictReader(io.StringIO("\n".join(lines))):
                    # A line that was cut off lacks columns.
                    if None in row.values() or None in row:
                        continue
                    try:
                        key = (row["model"], int(row["rows"]), row.get("mode") or ("graph" if row["graphs"] == "true" else "eager"),
                               row.get("chain_kernels", ""))
                        found[key] = float(row["device_us_median"])
                    except (KeyError, ValueError):
                        continue
        return found

    def json(self, step):
        """The last attempt that is one JSON object."""
        for text in reversed(self.attempts(step)):
            try:
                document = json.loads(text)
            except ValueError:
                continue
            if isinstance(document, dict):
                return document
        return None

    def lines(self, step):
        """JSON lines of all attempts, a later one over an earlier one of the same kind and model."""
        found = {}
        for text in self.attempts(step):
            for line in text.splitlines():
                try:
                    entry = json.loads(line)
                    found[entry["kind"], entry.get("model")] = entry
                except (ValueError, KeyError, TypeError):
                    continue
        return found

    def why(self, *steps):
        """Why a step left nothing."""
        reasons = []
        for step in steps:
            failed = self.folder / f"{step}.failed"
            log = (self.attempts(step, "log") or [""])[-1].strip().splitlines()
            skipped = self.folder / f"{step}.skipped"
            if skipped.exists():
                reasons.append(f"{step}: not on a stand-in: {skipped.read_text().strip()}")
            elif failed.exists():
                reasons.append(f"{step}: {failed.read_text().splitlines()[0]}" + (f": {log[-1][:160]}" if log else ""))
            elif not (self.folder / f"{step}.done").exists():
                reasons.append(f"{step}: not run")
        return "; ".join(reasons) or "its step printed nothing of it"


def us(value):
    return f"{value:,.1f} us" if value < 1000 else f"{value:,.0f} us"


def table(results):
    """(what, measured, to be reached, verdict): verdict True, False or the reason for none."""
    rows = []
    # One part that cannot be read costs none of the others.
    for part in (device_times, servers, experiment, calibration, profiling):
        try:
            part(results, lambda *row: rows.append(row))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            rows.append((part.__name__.replace("_", " "), "-", "-", f"what its steps left cannot be read: {error!r}"))
    return rows


def device_times(results, add):
    ours = results.rows("linear", "heads", "encoders", "layer-norm")
    without = results.rows("linear-without-chain")
    peers = results.rows("peers-linear", "peers-heads", "peers-compile", "peers-eager")

    def time(model, count):
        """Of a graph, or launched one by one: whichever the device does best."""
        found = [value for (name, rows, _, _), value in ours.items() if (name, rows) == (model, count)]
        return min(found, default=None)

    def ratio(what, own, peer, peer_name, reach_ratio, published, steps):
        """A ratio in one run; without the peer, microseconds against the published figure."""
        if own is None:
            return add(what, "-", f"{reach_ratio:g} times {peer_name}", results.why(*steps))
        if peer:
            return add(what, f"{us(own)}; {peer_name} {us(peer)}: {peer / own:.2f} times", f"{reach_ratio:g} times", peer / own >= reach_ratio)
        if published:
            return add(what, us(own), f"{published:,} us on an H200 ({peer_name} was not measured: {results.why(*steps[1:])})", own <= published)
        return add(what, us(own), f"{reach_ratio:g} times {peer_name}", f"{peer_name} was not measured: {results.why(*steps[1:])}")

    for count, (published, reach) in LINEAR.items():
        ratio(f"linear, fp16, {count} row{'s' if count > 1 else ''}, device time per batch", time("linear", count), peers.get(("linear", count, "graph", "")),
              "PyTorch's graph", reach, published, ("linear", "peers-linear"))
    for count in (1, 8, 32, 64, 128, 256):
        own = min((value for (name, rows, _, _), value in without.items() if (name, rows) == ("linear", count)), default=None)
        ratio(f"linear, {count} row{'s' if count > 1 else ''}, cuBLASLt with fused epilogues in a graph, no kernels of ours", own,
              peers.get(("linear", count, "graph", "")), "PyTorch's graph", 1.4, 101, ("linear-without-chain", "peers-linear"))
    ratio("stacked, 8 rows", time("stacked", 8), peers.get(("stacked", 8, "graph", "")), "PyTorch's graph", round(171 / 62, 2), 62, ("heads", "peers-heads"))
    ratio("stacked, 256 rows", time("stacked", 256), peers.get(("stacked", 256, "graph", "")), "PyTorch's graph", round(297 / 160, 2), 160,
          ("heads", "peers-heads"))
    ratio("seqlen, 256 rows", time("seqlen", 256), peers.get(("seqlen", 256, "compile", "")), "torch.compile", round(2563 / 2500, 3), 2500,
          ("heads", "peers-compile"))
    for model, words in (("bert-base", "BERT-base"), ("minilm", "MiniLM")):
        for count, reach in ((1, 1.3), (32, 1.0)):
            ratio(f"{words}, {count} row{'s' if count > 1 else ''} x 128", time(model, count), peers.get((model, count, "compile", "")),
                  "torch.compile with a graph", reach, None, ("encoders", "peers-compile"))
    one, ten = (next((value for (name, _, _, _), value in ours.items() if name == f"layer-norm x {count}"), None) for count in (1, 10))
    copy = peers.get(("copy", 32768, "graph", ""))
    if one is None or ten is None:
        add("LayerNorm+ReLU fused, 32,768 x 1,024", "-", "1.05 times a copy of the same bytes, at most", results.why("layer-norm"))
    elif not copy:
        add("LayerNorm+ReLU fused, 32,768 x 1,024", us((ten - one) / 9), "1.05 times a copy of the same bytes, at most",
            f"the copy was not measured: {results.why('peers-linear')}")
    else:
        add("LayerNorm+ReLU fused, 32,768 x 1,024", f"{us((ten - one) / 9)}; copy {us(copy)}: {(ten - one) / 9 / copy:.3f} times", "1.05 times, at most",
            (ten - one) / 9 <= 1.05 * copy)


def servers(results, add):
    beside = results.lines("serve-python")
    python, linear = beside.get(("python", None)), beside.get(("ours", "linear"))
    what = "server, linear, beside the same model in a Python server: requests/s at no larger p99"
    if python and linear:
        times = linear["requestsPerSecond"] / max(1e-9, python["requestsPerSecond"])
        add(what, f"{linear['requestsPerSecond']:,.0f}/s (p99 {linear['p99Milliseconds']:.1f} ms); {python['server']} {python['requestsPerSecond']:,.0f}/s "
            f"(p99 {python['p99Milliseconds']:.1f} ms): {times:.1f} times; our generator: {linear['generator']}", "5 times",
            times >= 5 and linear["p99Milliseconds"] <= python["p99Milliseconds"])
    elif linear:
        add(what, f"{linear['requestsPerSecond']:,.0f}/s (p99 {linear['p99Milliseconds']:.1f} ms)", "5 times", f"the Python server: {results.why('serve-python')}")
    else:
        add(what, "-", "5 times", results.why("serve-python"))
    identity = beside.get(("ours", "identity"))
    if identity and python:
        times = identity["requestsPerSecond"] / max(1e-9, python["requestsPerSecond"])
        add("server, identity, beside that Python server", f"{identity['requestsPerSecond']:,.0f}/s: {times:.1f} times; our generator: {identity['generator']}", "5 times",
            times >= 5)
    triton = results.lines("serve-triton")
    run = triton.get(("triton", "linear"))
    if run:
        add("server, linear, 3,000 users, as a real Triton on an H200 (3,617/s)", f"{run['requestsPerSecond']:,.0f}/s, {run['users']} users; generator: {run['generator']}",
            "10,851/s", run["requestsPerSecond"] >= 3 * 3617)
    else:
        add("server, linear, 3,000 users, as a real Triton on an H200 (3,617/s)", "-", "10,851/s", results.why("serve-triton"))
    run = triton.get(("triton", "seqlen"))
    if run:
        busy = run["counters"].get("GPU busy")
        add("server, seqlen, one instance, as a real Triton on an H200 (895/s, 72 % busy)",
            f"{run['requestsPerSecond']:,.0f}/s, {'GPU busy ' + format(busy, '.0f') + ' % (NVML)' if busy is not None else 'GPU busy unknown'}", "1,119/s and 95 % busy",
            run["requestsPerSecond"] >= 1.25 * 895 and busy >= 95 if busy is not None else "no counter said how busy the GPU was")
    else:
        add("server, seqlen, one instance, as a real Triton on an H200 (895/s, 72 % busy)", "-", "1,119/s and 95 % busy", results.why("serve-triton"))


def calibration(results, add):
    fit = results.json("calibrate")
    if fit and fit.get("heldOutErrorAfter"):
        error = fit["heldOutErrorAfter"]["mean"]
        add(f"calibrate --device: {fit['fitted']} products, error on {fit['heldOut']} others", f"{fit['seconds']:.0f} s, {100 * error:.1f} %", "60 s, 8 %",
            fit["seconds"] <= 60 and error <= 0.08)
    else:
        add("calibrate --device: 24 products, error on 200 others", "-", "60 s, 8 %", results.why("calibrate"))


def experiment(results, add):
    document = results.json("bench-heads")
    measured = (document or {}).get("measured") or {}
    for variant in measured.get("variants", []):
        seen = variant.get("onGPU")
        if not seen:
            continue
        counters = {entry["name"]: entry["mean"]["value"] for entry in seen["counters"]}
        pairs = [("GPU busy time", seen["gpuBusy"], "graphics engine active"), ("SMs with work", seen["residentSMs"], "SM active")]
        known = [(words, figure["value"], counters[name]) for words, figure, name in pairs if figure and name in counters]
        if known:
            add(f"experiment, {variant['name']}: trace beside counters",
                ", ".join(f"{words} {100 * own:.1f} %, counter {100 * theirs:.1f} %" for words, own, theirs in known), "5 points",
                all(abs(own - theirs) <= 0.05 for _, own, theirs in known))
        else:
            add(f"experiment, {variant['name']}: trace beside counters", "-", "5 points", "no counter answered: " + "; ".join(map(str, seen["missing"]))[:200])
    lines = {}
    path = results.folder / "ledger.jsonl"
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if not isinstance(entry, dict):
                continue
            if entry.get("schema", "").startswith("headroom.validation"):
                for figure in entry["lines"]:
                    if figure["quantity"] in ("requests/s", "kernel time per batch"):
                        lines[figure["variant"], figure["quantity"]] = figure
            else:
                for figure in entry.get("lines", []):
                    lines[f"{entry['variant']}, {entry['code']}", "change of " + figure["quantity"]] = figure
    for (variant, quantity), figure in lines.items():
        if quantity.startswith("change"):
            add(f"bench --prove, {variant}: {quantity}", f"{100 * figure['measured']['value']:+.0f} %, predicted {100 * figure['predicted']['value']:+.0f} %", "a hit",
                figure["outcome"] == "hit" if figure["outcome"] != "undecided" else "undecided: the pairs differ by more than the change")
            continue
        error = figure["error"]
        aim = figure["aim"]
        add(f"experiment, {variant}: {quantity}, predicted before the run",
            f"{figure['measured']['value']:,.1f}, predicted {figure['predicted']['value']:,.1f}: {100 * error:+.0f} %" if error is not None else "-",
            f"{100 * aim:.0f} %", abs(error) <= aim if error is not None and math.isfinite(error) else "not measured")
    if not lines and not measured:
        add("experiment: trace beside counters, prediction made before the run", "-", "5 points, 10 % and 15 %", results.why("bench-heads"))


def profiling(results, add):
    document = results.json("profile-cost")
    costs = ((document or {}).get("cuda") or {}).get("cost")
    if costs:
        words = ", ".join(f"{entry['calls']} {entry['addedNanosecondsPerLaunch'] / 1000:.2f} us" for entry in costs if entry["addedNanosecondsPerLaunch"] is not None)
        least = min((entry["addedNanosecondsPerLaunch"] for entry in costs if entry["addedNanosecondsPerLaunch"] is not None), default=None)
        add("profiling: added host time per launch, by --cuda-calls", words, "1.2 us in the cheapest", least <= 1200 if least is not None else "no launch was counted")
    else:
        add("profiling: added host time per launch", "-", "1.2 us in the cheapest", results.why("profile-cost"))
    rates = {"on": [], "off": []}
    for mode, value in re.findall(r"^(on|off) turns per second ([0-9.]+)$", results.text("profile-throughput"), re.M):
        rates[mode].append(float(value))
    if rates["on"] and rates["off"]:
        on, off = (sorted(rates[mode])[len(rates[mode]) // 2] for mode in ("on", "off"))
        add("profiling: throughput of a loop of 10,000 launches/s", f"{off:,.0f}/s, {on:,.0f}/s recorded: {100 * (1 - on / off):.1f} % less", "3 % less, at most", on >= 0.97 * off)
    else:
        add("profiling: throughput of a loop of 10,000 launches/s", "-", "3 % less, at most", results.why("profile-throughput"))
    text = results.text("profile-records")
    start, end = text.find("{"), text.rfind("}")
    try:
        cuda = json.loads(text[start:end + 1])["cuda"]
        bad = sum(cuda["badTimes"].values())
        add("profiling: kernel records in one recording", f"{cuda['kernels']:,} kept, {bad:,} with impossible times left out and counted, {cuda['droppedRecords']:,} dropped and counted",
            "5,000,000 on a GPU, none bad unflagged", cuda["kernels"] + bad + cuda["droppedRecords"] >= 5_000_000)
    except (ValueError, KeyError, TypeError):
        add("profiling: kernel records in one recording", "-", "5,000,000 on a GPU, none bad unflagged", results.why("profile-records"))


def verdict(results, value):
    if isinstance(value, str):
        return f"not measured ({value})"
    if results.is_stand_in:
        return "measured (a stand-in: neither hit nor miss)"
    return "HIT" if value else "MISS"


def checks(results):
    """Correctness, in words."""
    said = []
    for step, words in (("kernels", "every kernel alone against Double"), ("device", "the device from end to end")):
        text = "\n".join(results.attempts(step) + results.attempts(step, "log"))
        found = re.findall(r"Test run with (\d+) tests.*?(passed|failed)", text)
        said.append(f"{words}: " + (f"{found[-1][0]} tests {found[-1][1]}" if found else f"not run ({results.why(step)})"))
    return said


def digests(results):
    """When the predictions were written, and that they came before every measurement."""
    text = results.text("prediction")
    if not text:
        return ["no prediction was written before the run: " + results.why("prediction")]
    lines = [f"{digest[:16]} {pathlib.Path(path).name}" for digest, path in re.findall(r"^([0-9a-f]{64})\s+(\S+)$", text, re.M)]
    date = re.findall(r"^\d{4}-\d\d-\d\dT\S+Z$", text, re.M)
    return [f"predictions written {date[-1] if date else '?'}, before anything was measured: " + ", ".join(lines)]


def predicted(results, model, count):
    """Microseconds of a batch as planned: kernels with the gaps of a graph."""
    try:
        document = json.loads((results.folder / f"prediction-{model}.json").read_text())
        for batch in document["plans"][0]["batches"]:
            if batch["rows"] == count:
                totals = batch["totals"]
                return totals.get("graphMicroseconds") or totals["predictedMicroseconds"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return None


def summary(results):
    lines = ["", "ON A STAND-IN: figures are of this machine's processor" if results.is_stand_in else "on " + machine_words(results), ""]
    lines += digests(results) + checks(results) + [""]
    rows = table(results)
    for what, measured, reach, value in rows:
        lines.append(f"{what}\n    {measured}\n    to be reached: {reach}: {verdict(results, value)}")
    hits, misses = (sum(value is wanted for _, _, _, value in rows) for wanted in (True, False))
    if not results.is_stand_in:
        lines.append(f"\n{hits} hit, {misses} missed, {len(rows) - hits - misses} not measured")
    for step in sorted(path.stem for path in results.folder.glob("*.failed")):
        lines.append(f"left: {results.why(step)}")
    return "\n".join(lines)


def machine_words(results):
    gpu = re.search(r"^GPU 0\s+(.*)$", results.machine, re.M)
    system = re.search(r"^Linux .*$", results.machine, re.M)
    torch = re.search(r"^torch .*$", results.machine, re.M)
    device = re.search(r"^# (.*)$", results.text("linear"), re.M)
    return ", ".join(found.group(1) if found.re.groups else found.group(0) for found in (gpu, device, torch, system) if found) or "an unknown machine"


def page(results):
    rows = table(results)
    lines = [BEGIN, "", "## Measured" + (" (on a stand-in: figures of a processor, none of a GPU)" if results.is_stand_in else ""), ""]
    lines += [machine_words(results) + ". Command: `Scripts/gpu-bring-up`.", ""] + [line + "." for line in digests(results) + checks(results)] + [""]
    lines += ["| | measured | to be reached | |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(str(cell).replace("|", "/") for cell in (what, measured, reach, verdict(results, value))) + " |" for what, measured, reach, value in rows]
    ours = results.rows("linear", "heads", "encoders")
    if ours:
        lines += ["", "Device time per batch, microseconds; planned before the run:", "", "| model | rows | launched by | measured | planned |", "|---|---|---|---|---|"]
        for (model, count, mode, _), value in sorted(ours.items()):
            plan = predicted(results, "encoder" if model == "bert-base" else model, count)
            lines.append(f"| {model} | {count} | {mode} | {value:,.1f} | {f'{plan:,.1f}' if plan and not results.is_stand_in else ''} |")
    peers = results.rows("peers-linear", "peers-heads", "peers-compile", "peers-eager")
    if peers:
        lines += ["", "PyTorch in the same run, microseconds per batch:", "", "| model | rows | mode | measured |", "|---|---|---|---|"]
        lines += [f"| {model} | {count} | {mode} | {value:,.1f} |" for (model, count, mode, _), value in sorted(peers.items())]
    path = ROOT / "Docs/gpu.md"
    # Another page, where a test makes one.
    path = pathlib.Path(os.environ.get("HEADROOM_GPU_PAGE", path))
    text = path.read_text()
    if BEGIN not in text or END not in text[text.index(BEGIN):]:
        sys.exit(f"{path} has no place for it: the lines {BEGIN} and {END}")
    start = text.index(BEGIN)
    path.write_text(text[:start] + "\n".join(lines + ["", END]) + text[text.index(END, start) + len(END):])
    return f"written: {path}"


def findings(results):
    document = results.json("bench-heads") or {}
    codes = []
    for side in ("simulated", "measured"):
        for variant in (document.get(side) or {}).get("variants", []):
            for finding in variant.get("findings", []):
                if finding.get("fixes") and finding["code"] not in codes:
                    codes.append(finding["code"])
    return "\n".join(codes)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("summary", "page", "findings"):
        sys.exit(__doc__)
    print({"summary": summary, "page": page, "findings": findings}[sys.argv[1]](Results(sys.argv[2])))


if __name__ == "__main__":
    main()
