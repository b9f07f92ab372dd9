"""The commands, by name."""

from __future__ import annotations

import argparse
from importlib import import_module
from types import ModuleType

COMMANDS = {
    "ls": "list the runs of a folder",
    "info": "tell all of one run",
    "verify": "check what of runs is whole",
    "recover": "mend a run that was cut short or damaged",
    "export": "write a run as a file of another format",
}
"""What each does; its module has the same name."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add all commands to the parser of ``pyacq-lab runs``."""
    commands = parser.add_subparsers(dest="runs", required=True)
    for name, text in COMMANDS.items():
        _module(name).add_arguments(commands.add_parser(name, help=text, description=text))


def run(arguments: argparse.Namespace) -> int:
    """Run the command that was given; returns the exit code."""
    return _module(arguments.runs).run(arguments)


def _module(name: str) -> ModuleType:
    return import_module(f"{__package__}.{name}")
