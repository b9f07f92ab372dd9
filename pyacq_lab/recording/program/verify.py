"""``pyacq-lab runs verify RUN...``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pyacq_lab.recording.program.output import told_progress, write_json
from pyacq_lab.recording.verification import RunReport, verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("runs_to_verify", type=Path, nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("--json", action="store_true", help="write JSON, for machines")


def run(arguments: argparse.Namespace) -> int:
    """Verify, tell on stderr how far it is; returns 1 where something is damaged."""
    reports: list[RunReport] = []
    for path in arguments.runs_to_verify:
        with told_progress("B") as show:
            reports.append(verify(path, show))
        if not arguments.json:
            sys.stdout.write(f"{reports[-1]}\n")
    if arguments.json:
        write_json([{"ok": report.ok, "report": report} for report in reports])
    return 0 if all(report.ok for report in reports) else 1
