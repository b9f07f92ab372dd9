"""Which rows of a segment can be read back, by its files and their checksums alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.eventtable import EventLine
from pyacq_lab.recording.evidence import shard_numbers, tails
from pyacq_lab.recording.files import whole_lines
from pyacq_lab.recording.manifest import EVENTS, SegmentEntry
from pyacq_lab.recording.packing import verified
from pyacq_lab.recording.rows import chunk_bytes
from pyacq_lab.recording.shard import (
    CHECKSUM_NBYTES,
    DATA_AT,
    Index,
    empty_index,
    is_there,
    read_index,
)
from pyacq_lab.recording.video.repair import verify_video
from pyacq_lab.recording.zarr_layout import ArrayLayout

Counted = Callable[[int], None]
"""Told how many bytes were looked at."""


def ignore(nbytes: int) -> None:
    """Be a `Counted` that nobody asks."""


class Flaw(NamedTuple):
    """Rows ``[start, stop)`` with which something is wrong, and what."""

    start: int
    stop: int
    why: str


@dataclass
class Found:
    """What a segment's files hold.

    Attributes
    ----------
    whole : list of (int, int)
        Rows ``[start, stop)`` that are there and whole, those that fill up a last chunk among them.
    flaws : list of Flaw
        Rows that are not, as far as something can be said of them.
    """

    whole: list[tuple[int, int]] = field(default_factory=lambda: list[tuple[int, int]]())
    flaws: list[Flaw] = field(default_factory=lambda: list[Flaw]())


def whole_rows(run_folder: Path, entry: SegmentEntry, counted: Counted) -> Found:
    """Look through the files of a segment; numbers that events in gaps would have count as there."""
    folder = run_folder / entry.folder
    if entry.kind == "events":
        return _whole_events(folder, entry)
    if entry.kind == "video":
        return _whole_video(folder, entry, counted)
    return _whole_array(folder, entry.layout, counted)


def uncovered(start: int, stop: int, covered: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Parts of ``[start, stop)`` in none of the ranges.

    Examples
    --------
    >>> list(uncovered(0, 10, [(2, 3), (5, 20), (1, 3)]))
    [(0, 1), (3, 5)]
    """
    at = start
    for a, b in sorted(covered):
        if at >= stop:
            return
        if a > at:
            yield at, min(a, stop)
        at = max(at, b)
    if at < stop:
        yield at, stop


def _whole_events(folder: Path, entry: SegmentEntry) -> Found:
    events: list[EventLine]
    events, problem, _ = whole_lines(folder / EVENTS, EventLine)
    n = events[-1].n + 1 if events else 0
    why = f"{EVENTS} is damaged, {problem}" if problem else f"{EVENTS} is cut short"
    return Found([(0, n)], [Flaw(n, max(n, entry.rows), why)])


def _whole_video(folder: Path, entry: SegmentEntry, counted: Counted) -> Found:
    state = verify_video(folder, entry, counted)
    rows = [(start - entry.start, stop - entry.start) for start, stop in state.lost]
    edges = [0, *(edge for lost in rows for edge in lost), entry.rows]
    flaws = [Flaw(*lost, why) for lost, why in zip(rows, state.problems, strict=True)]
    return Found(list(zip(edges[::2], edges[1::2], strict=True)), flaws)


def _whole_array(folder: Path, layout: ArrayLayout, counted: Counted) -> Found:
    found = Found()
    for shard in shard_numbers(folder):
        path = layout.shard_path(folder, shard)
        if not path.exists():  # only its folder was made
            continue
        try:
            index = read_index(path, layout.shard_chunks)
        except (RecordingError, OSError) as error:
            rows = layout.shard_chunks * layout.chunk_rows
            found.flaws.append(Flaw(shard * rows, (shard + 1) * rows, str(error)))
            index = empty_index(layout.shard_chunks)
            if not layout.is_packed:
                index = index_by_place(path, layout)
        counted(DATA_AT)
        for slot in range(layout.shard_chunks):
            if is_there(index, slot):
                _look_at_chunk(found, path, index, slot, shard, layout)
                counted(int(index[slot, 1]))
        if not layout.is_packed:
            _look_at_end(found, path, index, shard, layout)
    for number, path in tails(folder):
        first = number * layout.chunk_rows
        n_rows = path.stat().st_size // layout.spec.sample_nbytes
        found.whole.append((first, first + min(n_rows, layout.chunk_rows)))
        found.flaws.append(Flaw(first + n_rows, first + layout.chunk_rows, f"{path.name} is cut short"))
    return found


def index_by_place(path: Path, layout: ArrayLayout) -> Index:
    """Index of a shard of chunks that are not compressed, by the checksums at the chunks' ends."""
    index = empty_index(layout.shard_chunks)
    nbytes = layout.chunk_nbytes + CHECKSUM_NBYTES
    for slot in range(layout.shard_chunks):
        candidate = index.copy()
        candidate[slot] = layout.chunk_offset(slot), nbytes
        try:
            verified(chunk_bytes(path, candidate, slot))
        except (RecordingError, OSError):
            continue
        index[slot] = candidate[slot]
    return index


def _look_at_chunk(
    found: Found, path: Path, index: Index, slot: int, shard: int, layout: ArrayLayout
) -> None:
    first = (shard * layout.shard_chunks + slot) * layout.chunk_rows
    last = first + layout.chunk_rows
    try:
        verified(chunk_bytes(path, index, slot))
        found.whole.append((first, last))
        return
    except (RecordingError, OSError) as error:
        why = str(error)
    n_rows = 0
    past = path.stat().st_size - int(index[slot, 0])
    if (
        not layout.is_packed and past < layout.chunk_nbytes + CHECKSUM_NBYTES
    ):  # cut: what stands is taken as it is
        n_rows = max(0, past) // layout.spec.sample_nbytes
    n_rows = min(n_rows, layout.chunk_rows)
    found.whole.append((first, first + n_rows))
    found.flaws.append(Flaw(first + n_rows, last, why))


def _look_at_end(found: Found, path: Path, index: Index, shard: int, layout: ArrayLayout) -> None:
    """Rows of the chunk that was being filled, or was full and not entered in the index yet."""
    end = max(0, path.stat().st_size - DATA_AT)
    slot, past = divmod(max(0, end - 1), layout.chunk_nbytes + CHECKSUM_NBYTES)
    past += end > 0
    if slot < layout.shard_chunks and not is_there(index, slot):
        first = (shard * layout.shard_chunks + slot) * layout.chunk_rows
        n_rows = min(past // layout.spec.sample_nbytes, layout.chunk_rows)
        found.whole.append((first, first + n_rows))
        found.flaws.append(Flaw(first + n_rows, first + layout.chunk_rows, f"{path} is cut short"))
