"""``pyacq-lab runs export RUN FILE``."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from pyacq_lab.recording.export.export import FORMATS, export
from pyacq_lab.recording.export.plan import ExportWarning
from pyacq_lab.recording.run import open_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("file", type=Path, help="file to write")
    parser.add_argument("--format", choices=list(FORMATS), help="default: from the end of the file's name")
    parser.add_argument("--streams", nargs="+", metavar="NAME", help="streams to export; default: all")
    parser.add_argument("--segment", type=int, metavar="I", help="which start of the streams; default: all")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def run(arguments: argparse.Namespace) -> int:
    """Export, tell on stderr how far it is and what the format could not hold; returns the exit code."""
    is_terminal = sys.stderr.isatty()
    percent = -1

    def show(done: int, total: int) -> None:
        nonlocal percent
        if (now := 100 * done // max(1, total)) != percent:
            percent = now
            sys.stderr.write(f"\r{percent:3d} % of {total} samples")
            sys.stderr.flush()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ExportWarning)
        try:
            path = export(
                open_run(arguments.run),
                arguments.file,
                arguments.format,
                arguments.streams,
                segment=arguments.segment,
                overwrite=arguments.overwrite,
                progress=show if is_terminal else None,
            )
        finally:
            if percent >= 0:
                sys.stderr.write("\n")
    for warning in told:
        sys.stderr.write(f"warning: {warning.message}\n")
    sys.stdout.write(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)\n")
    return 0
