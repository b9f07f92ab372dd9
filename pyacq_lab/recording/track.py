"""One stream while it is recorded: which segment takes its samples, and where it stands."""

from __future__ import annotations

from pathlib import Path

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.manifest import GapLine, SegmentEntry, StreamEntry, TimeLine, stream_folder
from pyacq_lab.recording.segment import SegmentWriter
from pyacq_lab.recording.zarr_layout import ArrayLayout, chunk_rows, write_group

LARGEST_CHUNK = 16 * 2**20
"""Bytes per chunk of an array at most, for those who must read it whole to see a single sample."""

TIME_EVERY_NS = 10_000_000_000
"""Between two times of samples in the journal; enough for a fit of the device's clock against the host's."""


class Track:
    """One stream of a recorder, from start to stop.

    Parameters
    ----------
    name : str
        The stream's name.
    spec : StreamSpec
        Its description.
    run_folder : Path
        The run folder.
    entry : StreamEntry
        What ``run.json`` says of it; kept up to date here.
    chunk_seconds : float
        Length of the arrays' chunks, s.
    fsync : {'never', 'chunk', 'flush'}
        When to wait for the disk.
    """

    def __init__(
        self,
        name: str,
        spec: StreamSpec,
        run_folder: Path,
        entry: StreamEntry,
        *,
        chunk_seconds: float,
        fsync: str,
    ) -> None:
        self.name = name
        self.entry = entry
        self._run_folder = run_folder
        self._layout = ArrayLayout(spec, chunk_rows(spec, chunk_seconds, LARGEST_CHUNK))
        self._fsync = fsync
        self._writer: SegmentWriter | None = None
        self._next_time_ns = 0
        write_group(run_folder / stream_folder(name))

    @property
    def acknowledged(self) -> int | None:
        """Absolute index up to which every row is safe; None before the first."""
        return self._segment.acknowledged if self._writer is not None else None

    def write(self, chunk: Chunk) -> None:
        """Write the samples of a chunk, after room for those missing before it."""
        writer = self._writer_of(chunk.epoch, chunk.start)
        position = self._position(writer)
        if chunk.start < position:
            raise RecordingError(
                f"{self.name!r}: chunk [{chunk.start}, {chunk.stop}) overlaps what was recorded "
                f"up to {position}"
            )
        self._skip(writer, chunk.start, "not announced")
        self._note_time(writer, chunk)
        writer.append(chunk.data)

    def gap(self, gap: Gap) -> None:
        """Note a gap, as far as it is not known yet, and leave room for its samples."""
        writer = self._writer_of(gap.epoch, gap.start)
        self._skip(writer, gap.start, "not announced")
        self._skip(writer, gap.stop, gap.reason)

    def acknowledge(self) -> bool:
        """Acknowledge all rows; True where there were new ones."""
        if self._writer is None or not self._writer.is_dirty:
            return False
        self._segment.acknowledged = self._segment.start + self._writer.acknowledge()
        return True

    def publish(self) -> None:
        """Let programs that know Zarr only see the rows that are acknowledged."""
        if self._writer is not None:
            self._writer.publish()

    def finish(self) -> None:
        """Acknowledge all rows of the segment, and close its files whatever happens; idempotent."""
        writer, self._writer, self._next_time_ns = self._writer, None, 0
        if writer is not None:
            self._segment.acknowledged = self._segment.start + writer.finish()

    @property
    def _segment(self) -> SegmentEntry:
        return self.entry.segments[-1]

    def _writer_of(self, epoch: int, start: int) -> SegmentWriter:
        """Writer that takes samples of this epoch, of a new segment where there is none."""
        if self._writer is not None and self._segment.epoch == epoch:
            return self._writer
        self.finish()
        folder = f"{stream_folder(self.name)}/{len(self.entry.segments)}"
        self._writer = SegmentWriter(
            self._run_folder / folder,
            self._layout,
            sync_chunks=self._fsync != "never",
            sync_rows=self._fsync == "flush",
        )
        self.entry.segments.append(
            SegmentEntry(
                folder=folder,
                spec=self._layout.spec,
                chunk_rows=self._layout.chunk_rows,
                epoch=epoch,
                start=start,
                acknowledged=start,
            )
        )
        return self._writer

    def _position(self, writer: SegmentWriter) -> int:
        """Absolute index after the last row written."""
        return self._segment.start + writer.rows

    def _skip(self, writer: SegmentWriter, stop: int, reason: str) -> None:
        position = self._position(writer)
        if stop > position:
            # The journal first: a gap is never acknowledged as samples.
            writer.note(GapLine(position, stop, reason))
            writer.skip(stop - position)
            self._segment.gaps += 1

    def _note_time(self, writer: SegmentWriter, chunk: Chunk) -> None:
        """Keep the time of the segment's first sample, and one more every now and then."""
        if not chunk.time_ns or chunk.time_ns < self._next_time_ns:
            return
        self._next_time_ns = chunk.time_ns + TIME_EVERY_NS
        writer.note(TimeLine(chunk.start, chunk.time_ns, chunk.uncertainty_ns))
        segment = self._segment
        if not segment.time_ns:
            segment.time_index, segment.time_ns = chunk.start, chunk.time_ns
            segment.uncertainty_ns = chunk.uncertainty_ns
