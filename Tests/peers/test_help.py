"""Help texts: they fit 80 columns, and their examples can be copied."""

import pathlib
import re
import subprocess

import pytest
from serving import BINARY

COMMANDS = [[], ["bench"], ["plan"], ["export"], ["calibrate"], ["serve"], ["check"], ["load"], ["load", "merge"], ["profile"], ["top"], ["explain"], ["compare"], ["doctor"]]


def lines(command):
    result = subprocess.run([BINARY, *command, "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "headroom")
def test_no_line_is_broken_by_the_terminal(command):
    text = lines(command)
    assert [line for line in text if len(line) > 80] == []
    # A line that was too long goes on in the first column.
    assert [line for before, line in zip(text, text[1:]) if before.startswith("  ") and line and not line.startswith(" ")] == []


def test_the_commands_are_all_here():
    text = "\n".join(lines([]))
    listed = set(re.findall(r"^  ([a-z-]+) {2,}\S", text.split("SUBCOMMANDS:")[1], re.MULTILINE))
    assert listed == {command[0] for command in COMMANDS if command}


@pytest.mark.parametrize("command", [command for command in COMMANDS if len(command) == 1], ids=lambda command: command[0])
def test_every_option_stands_in_a_document(command):
    root = pathlib.Path(__file__).parents[2]
    documents = "\n".join(path.read_text() for path in [root / "README.md", *(root / "Docs").rglob("*.md")])
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", "\n".join(lines(command)), re.MULTILINE)) - {"--help", "--version"}
    # Documents write -o.
    options.discard("--output")
    assert {option for option in options if not re.search(re.escape(option) + r"(?![a-z0-9-])", documents)} == set()
