"""The table of results as a page of the documentation, and its summary."""

import subprocess
from pathlib import Path

import cases


def by_file(rows):
    """file -> [(case with its note, outcome, reason)], in the order of the file's name."""
    files = {}
    for job, found in rows:
        for name, case in found.items():
            title = name if job.must_not_start else f"{name.split('.')[-1]}{f' [{job.note}]' if job.note else ''}"
            outcome, reason = case["outcome"], case["reason"]
            known = cases.DIFFERENT.get((job.file, name.split(".")[-1]))
            if outcome == "failed" and known:
                outcome, reason = "different", known
            files.setdefault(job.file, []).append((title, outcome, reason))
    return dict(sorted(files.items()))


def not_run(file, found):
    rows = [(name, reason) for of, names, reason in cases.NOT_RUN if of == file for name in names]
    rows += [(title, reason or "skipped by the file itself") for title, outcome, reason in found if outcome == "skipped"]
    rows += [(title, "no model of its data types: they are of other backends") for title, outcome, _ in found if outcome == "empty"]
    return rows


def unexplained(rows):
    return [(file, title, reason) for file, found in by_file(rows).items() for title, outcome, reason in found if outcome == "failed"]


def count(found, outcome):
    return sum(1 for _, seen, _ in found if seen == outcome)


def summary(rows):
    files = by_file(rows)
    lines = []
    for file, found in files.items():
        lines.append(
            f"{file}: {count(found, 'passed')} passed, {count(found, 'failed')} failed, {count(found, 'different')} different by decision, "
            f"{len(not_run(file, found))} not run")
    total = [case for found in files.values() for case in found]
    lines.append(f"all: {count(total, 'passed')} passed, {count(total, 'failed')} failed, {count(total, 'different')} different by decision")
    for file, title, reason in unexplained(rows):
        lines.append(f"FAILED {file} {title}: {one_line(reason)}")
    return "\n".join(lines)


def one_line(text, limit=400):
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def page(rows, arguments, seconds):
    files = by_file(rows)
    every = {**{file: [] for file, _, _ in cases.NOT_RUN}, **files}
    total = [case for found in files.values() for case in found]
    left = sum(len(not_run(file, found)) for file, found in every.items())
    lines = [
        "# Triton's own QA", "",
        "What the QA files of [triton-inference-server/server](https://github.com/triton-inference-server/server) find when they are run,",
        f"unchanged, against this server. Made by `Tests/triton-qa/run.py` (how, and what is substituted: `Tests/triton-qa/README.md`) from",
        f"Triton's commit {commit(arguments.triton)} in {seconds / 60:.0f} minutes; nothing of Triton's is kept in this repository.", "",
        f"{len(total) - count(total, 'skipped') - count(total, 'empty')} cases run: {count(total, 'passed')} passed, "
        f"{count(total, 'failed')} failed, {count(total, 'different')} different by decision. {left} not run.", "",
        "| file | run | passed | failed | different by decision | not run |", "|---|---|---|---|---|---|",
    ]
    for file, found in sorted(every.items()):
        ran = len(found) - count(found, "skipped") - count(found, "empty")
        lines.append(
            f"| `{file}` | {ran} | {count(found, 'passed')} | {count(found, 'failed')} | {count(found, 'different')} | "
            f"{len(not_run(file, found))} |")
    lines += section("Failed", [
        (file, title, reason) for file, found in files.items() for title, outcome, reason in found if outcome == "failed"])
    lines += section("Different by decision", [
        (file, title, reason) for file, found in files.items() for title, outcome, reason in found if outcome == "different"])
    lines += section("Not run", [(file, title, reason) for file, found in sorted(every.items()) for title, reason in not_run(file, found)])
    return "\n".join(lines) + "\n"


def section(title, entries):
    """One row a file and reason, with the cases it holds for."""
    if not entries:
        return []
    grouped = {}
    for file, name, reason in entries:
        grouped.setdefault((file, one_line(reason)), []).append(f"`{name}`")
    lines = ["", f"## {title}", "", "| file | cases | reason |", "|---|---|---|"]
    return lines + [f"| `{file}` | {', '.join(names)} | {reason} |" for (file, reason), names in grouped.items()]


def commit(folder):
    found = subprocess.run(["git", "-C", folder, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    version = Path(folder, "TRITON_VERSION")
    name = f" ({version.read_text().strip()})" if version.exists() else ""
    return (found.stdout.strip() if found.returncode == 0 else "unknown") + name
