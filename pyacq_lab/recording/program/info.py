"""``pyacq-lab runs info RUN``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.model.rig import Rig
from pyacq_lab.recording.program.output import seconds_text, size_text, write_json, write_table
from pyacq_lab.recording.run import open_run
from pyacq_lab.recording.summary import RunSummary, SegmentSummary, StreamSummary, summary_of

_HEAD = ("  segment", "samples", "first", "duration", "time within", "gaps", "lost", "packed", "size")
_COUNTS = ("sent", "received", "dropped", "repaired")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--json", action="store_true", help="write JSON")


def run(arguments: argparse.Namespace) -> int:
    """Tell all of a run; returns the exit code."""
    summary = summary_of(open_run(arguments.run))
    if arguments.json:
        write_json(summary)
        return 0
    _write_run(summary)
    for stream in summary.streams:
        _write_stream(stream)
    for name, value in summary.more.items():
        if isinstance(value, Rig):
            _write_rig(value)
        else:
            sys.stdout.write(f"\n{name}\n{_indented(value)}\n")
    return 0


def _write_run(summary: RunSummary) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in summary.software.items())
    facts = {
        "run": summary.path,
        "state": summary.state,
        "started": f"{summary.started[:19].replace('T', ' ')} UTC on {summary.host}",
        "duration": seconds_text(summary.duration),
        "samples": f"{summary.samples}, of which {summary.lost} lost in {summary.gaps} gap(s)",
        "size": size_text(summary.nbytes),
        "written by": versions,
    }
    for name, text in facts.items():
        sys.stdout.write(f"{name:<11} {text}\n")


def _write_stream(stream: StreamSummary) -> None:
    shape = " x ".join(map(str, stream.shape[1:])) or "1"
    what = "events" if stream.streamtype == "event" else f"{shape} of {stream.dtype}"
    units = f" in {stream.units}" if stream.units else ""
    sys.stdout.write(f"\n{stream.name}: {stream.streamtype}, {what}{units}, {stream.sample_rate:g} Hz\n")
    if stream.channel_names:
        sys.stdout.write(f"  channels: {', '.join(stream.channel_names)}\n")
    if (stream.scale, stream.offset) != (1.0, 0.0):
        sys.stdout.write(f"  units: raw * {stream.scale} + {stream.offset}\n")
    if stream.group_delay:
        sys.stdout.write(f"  group delay: {stream.group_delay:g} s\n")
    counts = ", ".join(f"{getattr(stream.ledger, name)} {name}" for name in _COUNTS)
    sys.stdout.write(f"  connection, in samples: {counts}\n")
    if stream.segments:
        write_table(_HEAD, [_row(i, segment) for i, segment in enumerate(stream.segments)])


def _row(number: int, segment: SegmentSummary) -> list[str]:
    return [
        f"  {number}",
        f"[{segment.start}, {segment.stop})",
        f"{segment.first_time:.6f} s" if segment.is_timed else "unknown",
        "" if segment.duration is None else seconds_text(segment.duration),
        "unknown" if segment.uncertainty is None else f"{segment.uncertainty:.3g} s",
        str(segment.gaps),
        str(segment.lost),
        segment.compression,
        size_text(segment.nbytes),
    ]


def _write_rig(rig: Rig) -> None:
    for head, *rows in rig.tables().values():
        if rows:
            sys.stdout.write("\n")
            write_table(head, rows)


def _indented(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    return "\n".join(f"  {line}" for line in text.splitlines())
