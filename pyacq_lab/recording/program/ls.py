"""``pyacq-lab runs ls [FOLDER]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.program.output import (
    progress_bar,
    seconds_text,
    size_text,
    write_json,
    write_table,
)
from pyacq_lab.recording.run import open_run
from pyacq_lab.recording.summary import RunSummary, find_runs, summary_of

_HEAD = ("name", "started (UTC)", "state", "duration", "streams", "samples", "gaps", "lost", "size")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path(), help="folder of run folders; default: ."
    )
    parser.add_argument("--json", action="store_true", help="write JSON, with all that info tells")


def run(arguments: argparse.Namespace) -> int:
    """List the runs; one that cannot be read is named on stderr, and makes the exit code 1."""
    if not arguments.folder.is_dir():
        raise RecordingError(f"{arguments.folder} is no folder")
    found: list[RunSummary] = []
    failed: list[str] = []
    for path in progress_bar("runs", list(find_runs(arguments.folder))):
        try:
            found.append(summary_of(open_run(path)))
        except RecordingError as error:
            failed.append(str(error))
    if arguments.json:
        write_json(found)
    elif found:
        write_table(_HEAD, [_row(summary) for summary in found])
    elif not failed:
        sys.stdout.write(f"no run in {arguments.folder.absolute()}\n")
    for text in failed:
        sys.stderr.write(f"unreadable: {text}\n")
    return 1 if failed else 0


def _row(summary: RunSummary) -> list[str]:
    return [
        Path(summary.path).name,
        summary.started[:19].replace("T", " "),
        summary.state,
        seconds_text(summary.duration),
        str(len(summary.streams)),
        str(summary.samples),
        str(summary.gaps),
        str(summary.lost),
        size_text(summary.nbytes),
    ]
