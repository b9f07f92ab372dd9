"""One video: the reader's side, also while it grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.rows import IsGap
from pyacq_lab.recording.video.coding import PTS_BITS, import_av, picture_of
from pyacq_lab.recording.video.table import FRAMES, VIDEO, FrameTable, is_whole, read_table

PIECE_NBYTES = 1 << 16
"""Read from the file at once."""


class VideoReader:
    """Pictures of a video by absolute index; safe from any thread.

    Nothing is read before it is asked for. Decoding begins at the last key frame before what is asked for,
    or goes on where it stopped: pictures that are asked for in their order are decoded once.

    Parameters
    ----------
    folder : Path
        Folder of the segment.
    spec : StreamSpec
        Description of the stream.
    first : int
        Absolute index of the segment's first sample.
    """

    def __init__(self, folder: Path, spec: StreamSpec, first: int) -> None:
        self._folder = folder
        self._spec = spec
        self._first = first
        self._know(read_table(folder))
        self._decoding: _Decoding | None = None
        self._lock = threading.Lock()

    def read(self, start: int, stop: int, is_gap: IsGap) -> npt.NDArray[np.uint8]:
        """Pictures of the rows ``[start, stop)``, shape (stop - start, height, width, ...); 0 in gaps.

        Raises
        ------
        RecordingError
            A picture is neither there nor in a gap, or the video is cut or damaged.
        MissingDependency
            PyAV is not installed.
        """
        pictures = np.zeros((stop - start, *self._spec.sample_shape), np.uint8)
        with self._lock:
            first, last = self._find(start, stop)
            rows = self._index[first:last] - self._first
            self._check_whole(rows, start, stop, is_gap)
            for number, row in zip(range(first, last), rows, strict=True):
                pictures[row - start] = self._picture(number)
        return pictures

    def frame_times(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Times of the frames that there are of the rows ``[start, stop)``, shape (n_frames, 3).

        Columns: absolute index, ns since 1970 UTC by the producing host's clock (0: unknown), uncertainty
        in ns (-1: unknown).
        """
        with self._lock:
            part = self._table[slice(*self._find(start, stop))]
        return np.stack([part["index"], part["time_ns"], part["uncertainty_ns"]], axis=1)

    def times(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Times of the rows ``[start, stop)``, ns since 1970 UTC, shape (stop - start,).

        In gaps, and for frames of unknown time, from the last known time before (or the first after), at the
        nominal rate.
        """
        with self._lock:
            self._find(start, stop)
            index, times = self._timed
        if not len(index):
            raise RecordingError(f"{self._folder / FRAMES} knows the time of no frame")
        rows = np.arange(start, stop) + self._first
        at = np.maximum(0, np.searchsorted(index, rows, side="right") - 1)
        steps = (rows - index[at]) * (1e9 / self._spec.sample_rate)
        return times[at] + np.rint(steps).astype(np.int64)

    # ---

    def _find(self, start: int, stop: int) -> tuple[int, int]:
        """Which of the table's frames are in the rows ``[start, stop)``; what is new in it is read."""
        start, stop = start + self._first, stop + self._first
        if not len(self._index) or self._index[-1] < stop - 1:
            more = read_table(self._folder, len(self._table))
            if len(more):
                self._know(np.concatenate([self._table, more]))
        first, last = np.searchsorted(self._index, (start, stop))
        return int(first), int(last)

    def _know(self, table: FrameTable) -> None:
        # Columns by which is searched lie side by side, or each search would copy them.
        self._table, self._index = table, np.ascontiguousarray(table["index"])
        self._keys = np.flatnonzero(table["is_key"])
        is_timed = table["time_ns"] != 0
        self._timed = self._index[is_timed], table["time_ns"][is_timed]

    def _check_whole(self, there: npt.NDArray[np.int64], start: int, stop: int, is_gap: IsGap) -> None:
        if len(there) == stop - start:
            return
        edges = np.concatenate([[start - 1], there, [stop]])
        for before in np.flatnonzero(np.diff(edges) > 1):
            lack_start, lack_stop = int(edges[before]) + 1, int(edges[before + 1])
            if not is_gap(lack_start, lack_stop):
                raise RecordingError(
                    f"{self._folder / FRAMES} does not know all of the frames "
                    f"[{self._first + lack_start}, {self._first + lack_stop}), which are not in a gap: it is "
                    "cut short"
                )

    def _picture(self, row: int) -> npt.NDArray[np.uint8]:
        table = self._table
        before = int(np.searchsorted(self._keys, row, side="right"))
        if not before:
            raise self._damaged(row, "no frame before it can be decoded by itself")
        key = int(self._keys[before - 1])
        now, self._decoding = self._decoding, None  # kept only where nothing goes wrong
        try:
            if now is None or not key <= now.row <= row < now.stop_row:
                now = _Decoding(self._folder / VIDEO, table, key)
            picture = picture_of(self._advanced(now, row), self._spec)
        except RecordingError:
            raise
        except (StopIteration, OSError, import_av().error.FFmpegError) as error:
            raise self._damaged(row, str(error) or "the file ends before it") from error
        self._decoding = now
        return picture

    def _advanced(self, decoding: _Decoding, row: int) -> Any:
        """Decode up to this frame; a decoder makes up what it lacks, so that each is compared before."""
        with (self._folder / VIDEO).open("rb") as file:
            while True:
                at = decoding.row
                if not is_whole(file, self._table[at]):
                    raise self._damaged(at, "it is not as it was written")
                frame = decoding.next_frame()
                if (frame.pts - self._table["pts"][at]) % (1 << PTS_BITS):
                    raise self._damaged(at, f"another one, of time stamp {frame.pts}, is in its place")
                if at == row:
                    return frame

    def _damaged(self, row: int, why: str) -> RecordingError:
        index = int(self._table["index"][row])
        return RecordingError(
            f"{self._folder / VIDEO} is cut short or damaged: frame {index} cannot be read ({why})"
        )


class _Decoding:
    """Frames one after another, from a key frame to the end of what the table knows.

    Attributes
    ----------
    row : int
        Row in the table of the frame that comes next.
    stop_row : int
        Row after the last one.
    """

    def __init__(self, path: Path, table: FrameTable, key: int) -> None:
        self.row = key
        ends = table["offset"][key:] + table["nbytes"][key:]
        breaks = np.flatnonzero(ends[:-1] != table["offset"][key + 1 :])
        n_frames = int(breaks[0]) + 1 if len(breaks) else len(ends)
        self.stop_row = key + n_frames
        part = _Part(path, int(table["offset"][key]), int(ends[n_frames - 1]))
        # The table says where what is: nothing needs to be probed for.
        self._container = import_av().open(
            part, format="mpegts", options={"probesize": "32"}, buffer_size=PIECE_NBYTES
        )
        self._frames: Iterator[Any] = self._container.decode(video=0)

    def next_frame(self) -> Any:
        """Decode the next frame; StopIteration at the end."""
        frame = next(self._frames)
        self.row += 1
        return frame


class _Part:
    """Bytes ``[at, stop)`` of a file, for the demultiplexer; the file is not kept open."""

    def __init__(self, path: Path, at: int, stop: int) -> None:
        self._path = path
        self._at = at
        self._stop = stop

    def read(self, nbytes: int) -> bytes:
        """Read the next bytes; none at the end."""
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._at)
            data = file.read(max(0, min(nbytes, self._stop - self._at)))
        self._at += len(data)
        return data
