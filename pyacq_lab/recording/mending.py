"""Mending of an array's files: after it, chunks that are whole are all found, and others are gaps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.evidence import shard_numbers, tails
from pyacq_lab.recording.manifest import SegmentEntry
from pyacq_lab.recording.packing import verified
from pyacq_lab.recording.rows import chunk_bytes, is_begun
from pyacq_lab.recording.segment import SegmentWriter
from pyacq_lab.recording.shard import (
    CHECKSUM_NBYTES,
    Index,
    ShardWriter,
    checksum,
    checksum_bytes,
    empty_index,
    is_there,
    read_index,
)
from pyacq_lab.recording.wholeness import index_by_place
from pyacq_lab.recording.zarr_layout import ArrayLayout, write_array


def mend_array(folder: Path, entry: SegmentEntry) -> Iterator[str]:
    """Mend the files of an array of which ``run.json`` says the truth; tells what was done."""
    layout = entry.layout
    for number in shard_numbers(folder):
        yield from _mend_shard(layout, layout.shard_path(folder, number))
    number = max(0, entry.rows - 1) // layout.chunk_rows
    n_rows = entry.rows - number * layout.chunk_rows
    is_full = n_rows == layout.chunk_rows  # it may lie in a gap as a whole, and was never begun then
    if is_begun(folder, layout, number) if is_full else n_rows and not _has_chunk(layout, folder, number):
        _complete_rows(layout, folder, number, n_rows)
        writer = SegmentWriter(folder, layout, sync_chunks=True, sync_rows=False, rows=entry.rows)
        writer.finish()
        yield "the last chunk is filled up and sealed"
    for _, tail in tails(folder):
        tail.unlink()
    write_array(folder, layout, entry.rows, sync=True)


def _mend_shard(layout: ArrayLayout, path: Path) -> Iterator[str]:
    try:
        read_index(path, layout.shard_chunks)
    except RecordingError as error:
        index = empty_index(layout.shard_chunks) if layout.is_packed else index_by_place(path, layout)
        ShardWriter.replace_index(path, index)
        n = sum(is_there(index, slot) for slot in range(layout.shard_chunks))
        yield f"{error}: made anew, with {n} chunk(s)"
    shard = ShardWriter(path, layout.shard_chunks)
    try:
        for slot in range(layout.shard_chunks):
            if is_there(shard.index, slot) and not _is_whole(path, shard.index, slot):
                n_rows = 0 if layout.is_packed else _rows_before_cut(layout, path, slot)
                if n_rows:
                    _fill_up(layout, shard, path, slot, n_rows)
                else:
                    shard.forget(slot)
    finally:
        shard.close()


def _is_whole(path: Path, index: Index, slot: int) -> bool:
    try:
        verified(chunk_bytes(path, index, slot))
    except RecordingError:
        return False
    return True


def _rows_before_cut(layout: ArrayLayout, path: Path, slot: int) -> int:
    """Rows of a chunk that stand before the end of a file that was cut within it; 0 where it is longer."""
    past = path.stat().st_size - layout.chunk_offset(slot)
    return 0 if past >= layout.chunk_nbytes + CHECKSUM_NBYTES else max(0, past) // layout.spec.sample_nbytes


def _fill_up(layout: ArrayLayout, shard: ShardWriter, path: Path, slot: int, n_rows: int) -> None:
    """Make a chunk of the rows that are left of it."""
    at, nbytes = layout.chunk_offset(slot), n_rows * layout.spec.sample_nbytes
    with path.open("rb") as file:
        file.seek(at)
        rows = file.read(nbytes)
    rows += layout.blank(layout.chunk_rows - n_rows).tobytes()
    shard.write(at, rows + checksum_bytes(checksum(rows)))
    shard.enter(slot, at, len(rows) + CHECKSUM_NBYTES)


def _has_chunk(layout: ArrayLayout, folder: Path, number: int) -> bool:
    shard, slot = layout.slot(number)
    return is_there(read_index(layout.shard_path(folder, shard), layout.shard_chunks), slot)


def _complete_rows(layout: ArrayLayout, folder: Path, number: int, n_rows: int) -> None:
    """Put blank rows where some of the chunk that was being filled are lost: they are a gap."""
    shard, slot = layout.slot(number)
    path, at = layout.shard_path(folder, shard), layout.chunk_offset(slot)
    if layout.is_packed:
        path, at = layout.tail_path(folder, number), 0
    else:
        ShardWriter(path, layout.shard_chunks).close()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "w+b") as file:
        nbytes = layout.spec.sample_nbytes
        there = max(0, file.seek(0, 2) - at) // nbytes
        if there < n_rows:
            file.seek(at + there * nbytes)
            file.write(layout.blank(n_rows - there).tobytes())
