"""One stream while it is recorded: which segment takes its samples, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import holds_events
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.eventtable import EventWriter
from pyacq_lab.recording.evidence import is_unfinished
from pyacq_lab.recording.manifest import (
    EndLine,
    GapLine,
    JournalLine,
    ResumeLine,
    SegmentEntry,
    SegmentLine,
    StreamEntry,
    TimeLine,
    stream_folder,
)
from pyacq_lab.recording.segment import SegmentWriter
from pyacq_lab.recording.video.coding import DEFAULT_QUALITY, VideoCoding, VideoMode, can_encode
from pyacq_lab.recording.video.writer import VideoWriter
from pyacq_lab.recording.zarr_layout import chunk_rows, write_group

LARGEST_CHUNK = 2**20
"""Bytes per chunk of an array at most: what must be read at once where it is compressed."""

SHARD_CHUNKS = 128
"""Chunks per shard: of arrays that grow fast, one file of 128 MiB."""

TIME_EVERY_NS = 10_000_000_000
"""Between two times of samples in the journal; enough for a fit of the device's clock against the host's."""


class Writer(Protocol):
    """What takes the samples of one segment. Its calls are described at `SegmentWriter`."""

    rows: int
    nbytes: int

    @property
    def is_dirty(self) -> bool: ...  # noqa: D102
    def append(self, chunk: Chunk) -> None: ...  # noqa: D102
    def skip(self, n_samples: int) -> None: ...  # noqa: D102
    def note(self, line: JournalLine) -> None: ...  # noqa: D102
    def acknowledge(self) -> int: ...  # noqa: D102
    def publish(self) -> None: ...  # noqa: D102
    def finish(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How a recorder stores streams: its settings, as far as tracks need them.

    Attributes
    ----------
    chunk_seconds : float
        Length of the arrays' chunks, s.
    compression : str
        As `packing.Compression`.
    fsync : {'never', 'chunk', 'flush'}
        When to wait for the disk.
    video : {'h264', 'lossless', 'raw'}
        How pictures are stored; ``raw``: as arrays.
    video_quality : int
        Of ``h264``, as in `VideoCoding`.
    """

    chunk_seconds: float
    compression: str = "none"
    fsync: Literal["never", "chunk", "flush"] = "never"
    video: VideoMode | Literal["raw"] = "raw"
    video_quality: int = DEFAULT_QUALITY

    def coding(self, spec: StreamSpec) -> VideoCoding | None:
        """How pictures of a stream are encoded; None where its samples become an array or a table."""
        if self.video == "raw" or not can_encode(spec):
            return None
        return VideoCoding(spec, self.video, self.video_quality)


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
    storage : Storage
        How it is stored.
    was_killed : bool
        Whether another recorder was killed at the run: its last segment may not be finished.

    Raises
    ------
    MissingDependency
        Its pictures are to be encoded, and there is no encoder on this machine.
    """

    def __init__(
        self,
        name: str,
        spec: StreamSpec,
        run_folder: Path,
        entry: StreamEntry,
        storage: Storage,
        was_killed: bool = False,
    ) -> None:
        self.name = name
        self.entry = entry
        self._spec = spec
        self._run_folder = run_folder
        self._storage = storage
        self._writer: Writer | None = None
        self._past_nbytes = 0
        self._next_time_ns = 0
        if (coding := storage.coding(spec)) is not None:
            coding.check_encoder()
        self._producer = 0, -1
        self._unfinished = (
            was_killed and bool(entry.segments) and is_unfinished(run_folder, entry.segments[-1])
        )
        write_group(run_folder / stream_folder(name))

    @property
    def unfinished(self) -> SegmentEntry | None:
        """The segment at which another process was killed, until it is known whether it is gone on with."""
        return self._segment if self._unfinished else None

    def begin(self, nonce: int, producer_epoch: int, epoch: int) -> None:
        """Take note of where the samples that come next are from.

        Where that is the producer, and its epoch, of a segment that is not finished, it is gone on with.

        Parameters
        ----------
        nonce, producer_epoch : int
            The producer, and the epoch as it counts them.
        epoch : int
            The epoch that their chunks and gaps have.
        """
        self._producer = nonce, producer_epoch
        if self._unfinished:
            segment = self._segment
            known = segment.nonce, segment.producer_epoch
            if nonce and known == self._producer and segment.spec == self._spec:
                self._unfinished = False
                self._writer = open_writer(self._run_folder, segment, self._storage, segment.rows)
                self._writer.note(ResumeLine(segment.acknowledged))
                segment.epoch = epoch
                self._next_time_ns = 0

    @property
    def acknowledged(self) -> int | None:
        """Absolute index up to which every row is safe; None before the first."""
        return self._segment.acknowledged if self._writer is not None else None

    @property
    def nbytes(self) -> int:
        """Bytes of samples written."""
        return self._past_nbytes + (0 if self._writer is None else self._writer.nbytes)

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
        writer.append(chunk)

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
        if self._unfinished:
            self._unfinished = False
            writer = open_writer(self._run_folder, self._segment, self._storage, self._segment.rows)
        if writer is not None:
            self._past_nbytes += writer.nbytes
            try:
                writer.note(EndLine(self._position(writer)))
            except BaseException:
                writer.close()
                raise
            self._segment.acknowledged = self._segment.start + writer.finish()

    @property
    def _segment(self) -> SegmentEntry:
        return self.entry.segments[-1]

    def _writer_of(self, epoch: int, start: int) -> Writer:
        """Writer that takes samples of this epoch, of a new segment where there is none."""
        if self._writer is not None and self._segment.epoch == epoch:
            return self._writer
        self.finish()
        entry = self._new_entry(epoch, start)
        writer = open_writer(self._run_folder, entry, self._storage)
        try:
            writer.note(SegmentLine(self.name, entry))
        except BaseException:
            writer.close()
            raise
        self.entry.segments.append(entry)
        self._writer = writer
        return writer

    def _new_entry(self, epoch: int, start: int) -> SegmentEntry:
        spec, storage = self._spec, self._storage
        entry = SegmentEntry(
            folder=self._next_folder(),
            spec=spec,
            epoch=epoch,
            nonce=self._producer[0],
            producer_epoch=self._producer[1],
            start=start,
            acknowledged=start,
            gaps=[],
            producer=self.entry.producer,
        )
        if holds_events(spec):
            entry.kind = "events"
        elif (coding := storage.coding(spec)) is not None:
            entry.kind, entry.compression = "video", coding.mode
        else:
            entry.chunk_rows = chunk_rows(spec, storage.chunk_seconds, LARGEST_CHUNK)
            entry.shard_chunks, entry.compression = SHARD_CHUNKS, storage.compression
        return entry

    def _next_folder(self) -> str:
        """Folder of the next segment; one that was made and not begun before a kill is left alone."""
        folder, number = stream_folder(self.name), len(self.entry.segments)
        while (self._run_folder / folder / str(number)).exists():
            number += 1
        return f"{folder}/{number}"

    def _position(self, writer: Writer) -> int:
        """Absolute index after the last row written."""
        return self._segment.start + writer.rows

    def _skip(self, writer: Writer, stop: int, reason: str) -> None:
        position = self._position(writer)
        if stop > position:
            # The journal first: a gap is never acknowledged as samples.
            writer.note(GapLine(position, stop, reason))
            try:
                writer.skip(stop - position)
            finally:  # also where there was no room for all of it
                reached = min(stop, self._position(writer))
                if reached > position:
                    self._segment.gaps.append(GapLine(position, reached, reason))

    def _note_time(self, writer: Writer, chunk: Chunk) -> None:
        """Keep the time of the segment's first sample, and one more every now and then."""
        if not chunk.time_ns or chunk.time_ns < self._next_time_ns:
            return
        self._next_time_ns = chunk.time_ns + TIME_EVERY_NS
        writer.note(TimeLine(chunk.start, chunk.time_ns, chunk.uncertainty_ns))
        segment = self._segment
        if not segment.time_ns:
            segment.time_index, segment.time_ns = chunk.start, chunk.time_ns
            segment.uncertainty_ns = chunk.uncertainty_ns


def open_writer(run_folder: Path, entry: SegmentEntry, storage: Storage, rows: int | None = None) -> Writer:
    """Open what takes the samples of a segment; of one that exists, to go on after so many ``rows``."""
    folder, fsync = run_folder / entry.folder, storage.fsync
    if entry.kind == "events":
        return EventWriter(folder, entry.spec, sync_rows=fsync == "flush", rows=rows)
    if entry.kind == "video":
        mode = "lossless" if entry.compression == "lossless" else "h264"
        coding = VideoCoding(entry.spec, mode, storage.video_quality)
        return VideoWriter(
            folder, coding, entry.start, sync_end=fsync != "never", sync_rows=fsync == "flush", rows=rows
        )
    return SegmentWriter(
        folder, entry.layout, sync_chunks=fsync != "never", sync_rows=fsync == "flush", rows=rows
    )
