"""What the files of a segment say themselves, where ``run.json`` is behind or lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.recording.eventtable import EventLine
from pyacq_lab.recording.files import whole_lines
from pyacq_lab.recording.manifest import (
    EVENTS,
    JOURNAL,
    EndLine,
    GapLine,
    JournalLine,
    Manifest,
    ResumeLine,
    SegmentEntry,
    SegmentLine,
    StreamEntry,
)
from pyacq_lab.recording.shard import CHECKSUM_NBYTES, DATA_AT, is_there, read_index
from pyacq_lab.recording.video.repair import known_frames
from pyacq_lab.recording.zarr_layout import TAIL, ArrayLayout


class Journal(NamedTuple):
    """What a segment's journal says.

    Attributes
    ----------
    lines : list of JournalLine
        Up to the first that is damaged.
    problem : str
        What is wrong with that; empty where none is.
    is_whole : bool
        Whether nothing is missing: a cut one may lack a gap, whose rows would pass for samples.
    """

    lines: list[JournalLine]
    problem: str
    is_whole: bool


def journal_of(run_folder: Path, entry: SegmentEntry) -> Journal:
    """Read a segment's journal."""
    path = run_folder / entry.folder / JOURNAL
    lines, problem, nbytes = whole_lines(path, JournalLine)
    return Journal(lines, problem, bool(lines) and not problem and path.stat().st_size == nbytes)


def is_unfinished(run_folder: Path, entry: SegmentEntry) -> bool:
    """Whether a recorder was killed at a segment, so that another can go on with it.

    Nobody goes on with one that is damaged: that is for `recover`.
    """
    journal = journal_of(run_folder, entry)
    return bool(journal.lines) and not journal.problem and _end_of(journal.lines) is None


def salvage(run_folder: Path, entry: SegmentEntry) -> HopLedger:
    """Acknowledge what a killed recorder had written and not acknowledged yet; give the accounts of that."""
    lines, _, is_whole = journal_of(run_folder, entry)
    if not is_whole:
        return HopLedger()
    before, stop = entry.acknowledged, entry.start + rows_on_disk(run_folder, entry, lines)
    if stop <= before:
        return HopLedger()
    entry.acknowledged = stop
    entry.gaps = gaps_of(entry, lines)
    found = [(gap.stop - max(gap.start, before), gap.reason) for gap in entry.gaps if gap.stop > before]
    received = stop - before - sum(n for n, _ in found)
    dropped = sum(n for n, reason in found if reason == "dropped")
    nbytes = received * entry.spec.sample_nbytes
    return HopLedger(sent=received + dropped, received=received, dropped=dropped, nbytes=nbytes)


def gaps_of(entry: SegmentEntry, lines: Iterable[JournalLine]) -> list[GapLine]:
    """Gaps that a manifest or a journal knows of, in order, up to what is acknowledged."""
    known = {gap.start: gap for gap in lines if isinstance(gap, GapLine)}
    known |= {gap.start: gap for gap in entry.gaps}
    merged: list[GapLine] = []
    for _, gap in sorted(known.items()):
        start = max(gap.start, merged[-1].stop if merged else entry.start)
        stop = min(gap.stop, entry.acknowledged)
        if start < stop:
            merged.append(GapLine(start, stop, gap.reason))
    return merged


def rows_on_disk(run_folder: Path, entry: SegmentEntry, lines: list[JournalLine]) -> int:
    """Rows of a segment that were written, acknowledged or not."""
    end = _end_of(lines)
    if end is not None:
        return end - entry.start
    folder = run_folder / entry.folder
    if entry.kind == "events":
        events: list[EventLine] = whole_lines(folder / EVENTS, EventLine)[0]
        return events[-1].n + 1 if events else 0
    if entry.kind == "array":
        return _rows_of_array(folder, entry.layout)
    frames = known_frames(folder, entry.acknowledged)
    return int(frames[-1]["index"]) + 1 - entry.start if len(frames) else 0


def add_unlisted(run_folder: Path, manifest: Manifest) -> list[SegmentEntry]:
    """Add the segments that were begun after ``run.json`` was last written, without any row acknowledged."""
    streams = run_folder / "streams"
    folders = sorted(path for path in streams.iterdir() if path.is_dir()) if streams.is_dir() else []
    added: list[SegmentEntry] = []
    for line in (line for folder in folders for line in begun_segments(folder)):
        stream = manifest.streams.setdefault(line.name, StreamEntry(spec=line.entry.spec, segments=[]))
        if line.entry.folder not in {entry.folder for entry in stream.segments}:
            stream.segments.append(line.entry)
            added.append(line.entry)
    return added


def begun_segments(folder: Path) -> list[SegmentLine]:
    """What the journals in a stream's folder say of its segments, in their order."""
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.is_dir() and path.name.isdecimal())
    heads = [whole_lines(folder / str(number) / JOURNAL, JournalLine)[0][:1] for number in numbers]
    return [line for lines in heads for line in lines if isinstance(line, SegmentLine)]


def shard_numbers(folder: Path) -> list[int]:
    """Numbers of an array's shards, in order."""
    chunks = folder / "c"
    return sorted(int(p.name) for p in chunks.iterdir() if p.name.isdecimal()) if chunks.is_dir() else []


def tails(folder: Path) -> list[tuple[int, Path]]:
    """Files with rows of an array's chunks that are not packed yet, by the numbers of these."""
    return [(int(path.name.removeprefix(TAIL)), path) for path in folder.glob(f"{TAIL}*")]


def _end_of(lines: list[JournalLine]) -> int | None:
    """Index before which a segment was ended, unless it was gone on with."""
    ends = [line for line in lines if isinstance(line, EndLine | ResumeLine)]
    return ends[-1].stop if ends and isinstance(ends[-1], EndLine) else None


def _rows_of_array(folder: Path, layout: ArrayLayout) -> int:
    size, nbytes = layout.chunk_rows, layout.spec.sample_nbytes
    rows = 0
    for number in shard_numbers(folder)[-1:]:
        path, first = layout.shard_path(folder, number), number * layout.shard_chunks
        try:
            index = read_index(path, layout.shard_chunks)
            there = [slot for slot in range(layout.shard_chunks) if is_there(index, slot)]
        except (RecordingError, OSError):
            there = []
        rows = (first + max(there, default=-1) + 1) * size
        if not layout.is_packed and path.exists():
            slot, past = divmod(max(0, path.stat().st_size - DATA_AT), layout.chunk_nbytes + CHECKSUM_NBYTES)
            rows = max(rows, (first + slot) * size + min(past // nbytes, size))
    found = [(number, path.stat().st_size // nbytes) for number, path in tails(folder)]
    return max([rows, *(number * size + min(n, size) for number, n in found)])
