"""``pyacq-lab runs export RUN FILE``."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import msgspec

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.recording.export.export import FORMATS, export
from pyacq_lab.recording.export.plan import ExportWarning
from pyacq_lab.recording.program.output import told_progress
from pyacq_lab.recording.run import open_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("file", type=Path, help="file to write")
    parser.add_argument("--format", choices=list(FORMATS), help="default: from the end of the file's name")
    parser.add_argument("--streams", nargs="+", metavar="NAME", help="streams to export; default: all")
    parser.add_argument("--segment", type=int, metavar="I", help="which start of the streams; default: all")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument(
        "--metadata", type=Path, metavar="JSON", help="for NWB: file with fields of NWBFile, and of 'subject'"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, tell on stderr how far it is and what the format could not hold; returns the exit code."""
    metadata = _metadata(arguments.metadata)
    with warnings.catch_warnings(record=True) as told, told_progress("samples") as show:
        warnings.simplefilter("always", ExportWarning)
        path = export(
            open_run(arguments.run),
            arguments.file,
            arguments.format,
            arguments.streams,
            segment=arguments.segment,
            overwrite=arguments.overwrite,
            progress=show,
            metadata=metadata,
        )
    for warning in told:
        sys.stderr.write(f"warning: {warning.message}\n")
    sys.stdout.write(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)\n")
    return 0


def _metadata(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{path}: wanted a JSON object of fields, and {error}") from error
