"""One video that grows: the writer's side."""

from __future__ import annotations

import io
import os
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.recording.files import LineFile, append_all, replace_file
from pyacq_lab.recording.manifest import JOURNAL, JournalLine
from pyacq_lab.recording.segment import check_samples
from pyacq_lab.recording.shard import require_there, write_all
from pyacq_lab.recording.video.coding import (
    TIME_BASE,
    VIDEO_PID,
    FrameClock,
    FrameMark,
    VideoCoding,
    import_av,
    marked,
)
from pyacq_lab.recording.video.repair import known_frames
from pyacq_lab.recording.video.table import (
    VIDEO,
    cut_file,
    file_size,
    read_table,
    table_path,
    table_row,
    write_metadata,
)
from pyacq_lab.recording.zarr_layout import write_group

NS_PER_S = 1_000_000_000

_MUXER = {
    "flush_packets": "1",  # each frame is in the file before the next one comes
    "mpegts_flags": "+initial_discontinuity",  # a recording that is gone on with is no damaged one
    "mpegts_start_pid": str(VIDEO_PID),
}


class VideoWriter:
    """Append pictures to an MPEG-TS file so that a kill at any moment keeps every acknowledged one.

    Each picture is encoded as it comes, in the calling thread, and its packets go into the file by unbuffered
    writes. `acknowledge` then appends its row to the table, so that the table never tells of a frame that is
    not in the file. Pictures that never came are not encoded, and have no rows in the table.

    Parameters
    ----------
    folder : Path
        The segment's folder; must not exist unless it is gone on with.
    coding : VideoCoding
        How pictures are encoded.
    first : int
        Absolute index of the segment's first sample.
    sync_end, sync_rows : bool
        Whether `finish`, or each acknowledgement, waits until the disk has the data.
    rows : int or None
        Go on after so many rows that another process has written; None begins a new video.

    Raises
    ------
    MissingDependency
        PyAV is not installed.
    RecordingError
        Pictures like these cannot be encoded, or the video that is to be gone on with is cut short.
    """

    def __init__(
        self,
        folder: Path,
        coding: VideoCoding,
        first: int,
        *,
        sync_end: bool,
        sync_rows: bool,
        rows: int | None = None,
    ) -> None:
        self.rows = rows or 0
        """Rows written, with those of gaps."""
        self.nbytes = 0
        """Bytes of video written here."""
        self._av = import_av()
        self._coding = coding
        self._folder = folder
        self._first = first
        self._sync_rows, self._sync_end = sync_rows, sync_rows or sync_end
        self._acknowledged = self.rows
        self._clock = FrameClock(coding.spec.sample_rate)
        self._due: list[np.void] = []
        if rows is None:
            folder.mkdir()
        write_group(folder)
        table_path(folder).parent.mkdir(parents=True, exist_ok=True)
        self._n_frames, end = self._gone_before()
        with ExitStack() as opened:
            self._journal = LineFile(folder / JOURNAL)
            opened.callback(self._journal.close)
            self._table = opened.enter_context(io.FileIO(table_path(folder), "a"))
            self._video = _Tail(opened.enter_context(io.FileIO(folder / VIDEO, "a")), end)
            self._container, self._stream = self._encoder()
            opened.callback(self._let_go)
            self._opened = opened.pop_all()

    @property
    def is_dirty(self) -> bool:
        """Whether there are rows that are not acknowledged yet."""
        return self.rows > self._acknowledged

    def append(self, chunk: Chunk) -> None:
        """Encode pictures and write them; the first of a chunk has its time.

        Raises
        ------
        StreamMismatch
            They are of another type or shape than was announced.
        RecordingError
            They cannot be encoded.
        """
        spec = self._coding.spec
        check_samples(spec, chunk.data)
        for number, picture in enumerate(chunk.data):
            late = round(number * NS_PER_S / spec.sample_rate)
            self._write(picture, chunk.time_ns + late if chunk.time_ns else 0, chunk.uncertainty_ns)
            self.rows += 1

    def skip(self, n_samples: int) -> None:
        """Leave room for pictures that never came."""
        self.rows += n_samples

    def note(self, line: JournalLine) -> None:
        """Append a line to the journal."""
        self._journal.write(line)

    def acknowledge(self) -> int:
        """Make all rows as durable as was asked for, and return how many there are."""
        return self._acknowledge(sync=self._sync_rows)

    def publish(self) -> None:
        """Do nothing: the table says how long it is by its size."""

    def finish(self) -> int:
        """Acknowledge all rows and close the files, these in any case; idempotent. Returns the rows."""
        try:
            self._acknowledge(sync=self._sync_end)
            write_metadata(self._folder, self._n_frames, sync=self._sync_end)
            return self.rows
        finally:
            self.close()

    def close(self) -> None:
        """Close the files as they are; idempotent."""
        self._opened.close()

    # ---

    def _gone_before(self) -> tuple[int, int]:
        """Frames that another process wrote and acknowledged, and where the video ends after them."""
        folder = self._folder
        table = known_frames(folder, self._first + self.rows)
        table = table[: np.searchsorted(table["index"], self._first + self.rows)]
        if not len(table):
            end = 0
        else:
            last = table[-1]
            end = int(last["offset"] + last["nbytes"])
            self._clock.resume(int(last["index"]), int(last["time_ns"]), int(last["pts"]))
        size = file_size(folder / VIDEO)
        if size < end:
            raise RecordingError(f"{folder / VIDEO} is cut short: it has {size} bytes, its table says {end}")
        # What it wrote without having acknowledged it will come again.
        cut_file(folder / VIDEO, end)
        if read_table(folder).tobytes() != table.tobytes():
            replace_file(table_path(folder), table.tobytes(), sync=self._sync_rows)
        return len(table), end

    def _encoder(self) -> tuple[Any, Any]:
        container = self._av.open(self._video, "w", format="mpegts", options=_MUXER)
        try:
            return container, self._coding.add_stream(container)
        except BaseException:
            container.close()
            raise

    def _let_go(self) -> None:
        self._video.is_closed = True
        self._container.close()

    def _write(self, picture: npt.NDArray[np.uint8], time_ns: int, uncertainty_ns: int) -> None:
        index, offset = self._first + self.rows, self._video.size
        try:
            frame = self._coding.frame(picture)
            frame.pts, frame.time_base = self._clock.stamp(index, time_ns), TIME_BASE
            (packet,) = self._stream.encode(frame)
            mark = FrameMark(
                index, time_ns, uncertainty_ns, frame.pts, int(packet.is_keyframe), zlib.crc32(packet)
            )
            self._container.mux(self._marked(packet, mark))
        except self._av.error.FFmpegError as error:
            raise RecordingError(f"frame {index} cannot be encoded: {error}") from error
        if self._video.error is not None:
            raise self._video.error
        packets = self._video.take()
        self._due.append(table_row(mark, offset, packets))
        self.nbytes += len(packets)

    def _marked(self, packet: Any, mark: FrameMark) -> Any:
        full = self._av.Packet(marked(bytes(packet), mark))
        full.pts, full.dts, full.time_base = packet.pts, packet.dts, packet.time_base
        full.is_keyframe, full.stream = packet.is_keyframe, packet.stream
        return full

    def _acknowledge(self, *, sync: bool) -> int:
        if self.is_dirty:
            require_there(self._table)
            if sync:
                self._video.sync()
            append_all(self._table, b"".join(row.tobytes() for row in self._due))
            self._n_frames += len(self._due)
            self._due.clear()
            if sync:
                os.fsync(self._table.fileno())
                self._journal.sync()
            self._acknowledged = self.rows
        return self._acknowledged


class _Tail:
    """What the multiplexer writes into: the end of a file, unbuffered. It does not seek.

    Attributes
    ----------
    size : int
        Bytes in the file.
    error : OSError or None
        Why a write failed, for the writer to raise. What comes after it would have a hole before it, and is
        not taken.
    is_closed : bool
        Whether nothing is taken any more: what the multiplexer has to say at the end belongs to no frame.
    """

    def __init__(self, file: io.FileIO, size: int) -> None:
        self._file = file
        self.size = size
        self.error: OSError | None = None
        self.is_closed = False
        self._taken = bytearray()

    def write(self, data: bytes) -> int:
        """Write all of it; called by the multiplexer."""
        if not self.is_closed and self.error is None:
            try:
                write_all(self._file, data)
                self.size += len(data)
                self._taken += data
            except OSError as error:
                self.error = error
        return len(data)

    def take(self) -> bytes:
        """Bytes written since this was last asked."""
        taken = bytes(self._taken)
        self._taken.clear()
        return taken

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._file.fileno())
