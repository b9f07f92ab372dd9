"""``pyacq-lab runs recover RUN``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pyacq_lab.recording.program.output import told_progress, write_json
from pyacq_lab.recording.recovery import recover


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--json", action="store_true", help="write JSON, for machines")


def run(arguments: argparse.Namespace) -> int:
    """Recover, tell on stderr how far it is; returns 1 where something stayed damaged."""
    with told_progress("B") as show:
        done = recover(arguments.run, show)
    if arguments.json:
        write_json(done)
    else:
        sys.stdout.write(f"{done}\n")
    return 0 if done.after.ok else 1
