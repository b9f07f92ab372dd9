"""What a run holds, in a few numbers: for lists of runs, and for machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.recording.lock import is_locked
from pyacq_lab.recording.manifest import BACKUP, MANIFEST, Manifest, SegmentEntry
from pyacq_lab.recording.run import Run
from pyacq_lab.recording.signal import Signal


class SegmentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One start of a stream.

    Attributes
    ----------
    kind : str
        What is in it: ``array``, ``events`` or ``video``.
    epoch, start, stop : int
        Epoch and absolute indices of its samples.
    first_time : float
        Time of its first sample, s since the run's start; 0 where that was not known.
    is_timed : bool
        Whether that was known.
    uncertainty : float or None
        How surely, s; None where that is not known.
    duration : float or None
        Length with gaps, s; None for events, which have none.
    gaps, lost : int
        How many gaps, and how many samples in them.
    compression : str
        How its samples are packed.
    nbytes : int
        Bytes on disk.
    """

    kind: str
    epoch: int
    start: int
    stop: int
    first_time: float
    is_timed: bool
    uncertainty: float | None
    duration: float | None
    gaps: int
    lost: int
    compression: str
    nbytes: int


class StreamSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One stream: its description when last started, its starts, and the account of its connection."""

    name: str
    streamtype: str
    dtype: Any
    shape: tuple[int, ...]
    sample_rate: float
    units: str
    channel_names: tuple[str, ...]
    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...]
    group_delay: float
    segments: tuple[SegmentSummary, ...]
    ledger: HopLedger


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes
    ----------
    path : str
        The run folder.
    state, started, host : str
        As in ``run.json``, or `UNFINISHED`; the start in ISO 8601, UTC.
    duration : float
        From the first sample to the last, s.
    samples, gaps, lost : int
        Samples of all streams, with those in gaps; gaps; samples in gaps.
    nbytes : int
        Bytes on disk.
    software : dict of str to str
        Versions of what wrote it.
    streams : tuple of StreamSummary
        In the order of the recorder's inputs.
    more : dict
        What else ``run.json`` holds, such as the graph and its settings.
    """

    path: str
    state: str
    started: str
    host: str
    duration: float
    samples: int
    gaps: int
    lost: int
    nbytes: int
    software: dict[str, str]
    streams: tuple[StreamSummary, ...]
    more: dict[str, Any]


UNFINISHED = "unfinished"
"""State of a run that says it is being recorded, and nobody is at it: killed, or the disk is full."""

_TOLD = frozenset({"format", "version", "state", "started_ns", "software", "host", "streams"})


def summary_of(run: Run) -> RunSummary:
    """Sum up a run, from ``run.json`` and the sizes of its files; no sample is read.

    Raises
    ------
    RecordingError
        The run cannot be read.
    """
    manifest = run.manifest()
    streams = tuple(_stream(run, manifest, name) for name in manifest.streams)
    every = [segment for stream in streams for segment in stream.segments if segment.stop > segment.start]
    begin = min((segment.first_time for segment in every), default=0.0)
    end = max((segment.first_time + (segment.duration or 0.0) for segment in every), default=0.0)
    return RunSummary(
        path=str(run.path),
        state=UNFINISHED if manifest.state == "recording" and not is_locked(run.path) else manifest.state,
        started=run.started.isoformat(timespec="seconds"),
        host=manifest.host,
        duration=end - begin,
        samples=sum(segment.stop - segment.start for segment in every),
        gaps=sum(segment.gaps for segment in every),
        lost=sum(segment.lost for segment in every),
        nbytes=disk_usage(run.path),
        software=manifest.software,
        streams=streams,
        more={
            name: value
            for name in manifest.__struct_fields__
            if name not in _TOLD and (value := getattr(manifest, name))
        },
    )


def _stream(run: Run, manifest: Manifest, name: str) -> StreamSummary:
    entry = manifest.streams[name]
    spec = entry.spec
    signals = run.segments(name)
    return StreamSummary(
        name=name,
        streamtype=spec.streamtype,
        dtype=spec.dtype,
        shape=spec.shape,
        sample_rate=spec.sample_rate,
        units=spec.units,
        channel_names=spec.channel_names,
        scale=spec.scale,
        offset=spec.offset,
        group_delay=spec.group_delay,
        segments=tuple(_segment(*pair) for pair in zip(signals, entry.segments, strict=True)),
        ledger=entry.ledger,
    )


def _segment(signal: Signal, entry: SegmentEntry) -> SegmentSummary:
    return SegmentSummary(
        kind=entry.kind,
        epoch=signal.epoch,
        start=signal.start,
        stop=signal.stop,
        first_time=signal.first_time,
        is_timed=entry.time_ns != 0,
        uncertainty=entry.uncertainty_ns / 1e9 if entry.uncertainty_ns >= 0 else None,
        duration=None if entry.kind == "events" else signal.duration,
        gaps=len(signal.gaps),
        lost=sum(map(len, signal.gaps)),
        compression=entry.compression,
        nbytes=disk_usage(signal.folder),
    )


def disk_usage(folder: Path) -> int:
    """Bytes that all files below a folder take: less than their lengths where they have holes."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.stat(os.path.join(place, name), follow_symlinks=False)
            except FileNotFoundError:
                continue  # a run that is being recorded replaces its files
            blocks = getattr(found, "st_blocks", None)  # Windows has none
            total += found.st_size if blocks is None else blocks * 512
    return total


def find_runs(folder: Path) -> Iterator[Path]:
    """Run folders: the folder itself, or else those directly in it, by name."""
    if _is_run(folder):
        yield folder
        return
    yield from sorted(path for path in folder.iterdir() if path.is_dir() and _is_run(path))


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in (MANIFEST, BACKUP))
