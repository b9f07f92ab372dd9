"""What of a video is whole, and how a table and a file that were cut are brought in accord."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.manifest import SegmentEntry
from pyacq_lab.recording.video.coding import VIDEO_PID, mark_in
from pyacq_lab.recording.video.table import (
    FRAME_DTYPE,
    VIDEO,
    FrameTable,
    cut_file,
    file_size,
    is_whole,
    read_table,
    replace_table,
    table_path,
    table_row,
)

TS_NBYTES = 188
"""Size of a packet of MPEG-TS."""


@dataclass(frozen=True)
class VideoState:
    """What of a video is whole.

    Attributes
    ----------
    problems : tuple of str
        What is wrong, in words; empty where everything acknowledged is whole.
    stop : int
        Absolute index after the last sample that is there (or in a gap).
    lost : tuple of (int, int)
        Absolute indices ``[start, stop)``, in order, of acknowledged frames that cannot be read.
    is_changed : bool
        Whether something was mended.
    """

    problems: tuple[str, ...]
    stop: int
    lost: tuple[tuple[int, int], ...] = ()
    is_changed: bool = False


def verify_video(
    folder: Path, entry: SegmentEntry, counted: Callable[[int], None] | None = None
) -> VideoState:
    """Check each frame of a video against its checksum; nothing is decoded, nothing changed.

    Parameters
    ----------
    folder : Path
        Folder of the segment.
    entry : SegmentEntry
        What ``run.json`` says of it.
    counted : callable, optional
        Told how many bytes were looked at.

    Raises
    ------
    RecordingError
        The files cannot be read at all.
    """
    try:
        table = read_table(folder)
        readable = _readable(table, _whole(folder, table, counted))
    except OSError as error:
        raise RecordingError(f"{folder} cannot be read: {error}") from error
    return _state(folder, entry, table[readable], entry.acknowledged)


def recover_video(folder: Path, entry: SegmentEntry) -> VideoState:
    """Bring table and file in accord, after a cut of either at any byte.

    Frames that are whole in the file and that the table does not know are put into it anew, also those that
    were never acknowledged; what cannot be read is taken out of the table, and the file ends after its last
    whole frame. The caller notes what is `lost` as gaps, and that the segment ends at `stop`.

    Parameters and errors as in `verify_video`.
    """
    try:
        table = read_table(folder)
        whole = _whole(folder, table)
        n_good = _leading(whole)
        good = table[:n_good]
        end = int(good[-1]["offset"] + good[-1]["nbytes"]) if n_good else 0
        found = _frames_in(folder / VIDEO, end)
        merged = np.concatenate([good, found])
        kept = merged[_readable(merged, np.ones(len(merged), bool)) & (merged["index"] >= entry.start)]
        end = int(kept[-1]["offset"] + kept[-1]["nbytes"]) if len(kept) else 0
        sizes = file_size(table_path(folder)), file_size(folder / VIDEO)
        is_changed = sizes != (kept.nbytes, end) or kept.tobytes() != table.tobytes()
        replace_table(folder, kept)
        cut_file(folder / VIDEO, end)
    except OSError as error:
        raise RecordingError(f"{folder} cannot be recovered: {error}") from error
    stop = max(entry.acknowledged, int(kept[-1]["index"]) + 1 if len(kept) else 0)
    return replace(_state(folder, entry, kept, stop), is_changed=is_changed)


def known_frames(folder: Path, acknowledged: int) -> FrameTable:
    """Rows of the table, and of whole frames that are in the video behind the last one of it.

    Those of frames up to the absolute index ``acknowledged`` are taken as they are; further ones were written
    by a recorder that was killed, and end before the first that is not whole.
    """
    table = read_table(folder)
    index = table["index"]
    n_good = _leading((index < acknowledged) & (np.diff(index, prepend=-1) > 0))
    if n_good < len(table):
        more = table[n_good:]
        is_next = np.diff(more["index"], prepend=index[n_good - 1] if n_good else -1) > 0
        n_good += _leading(is_next & _whole(folder, more))
    table = table[:n_good]
    end = int(table[-1]["offset"] + table[-1]["nbytes"]) if n_good else 0
    return np.concatenate([table, _frames_in(folder / VIDEO, end)])


def _leading(good: npt.NDArray[np.bool_]) -> int:
    """How many are good before the first that is not."""
    return len(good) if good.all() else int(np.argmin(good))


def _whole(
    folder: Path, table: FrameTable, counted: Callable[[int], None] | None = None
) -> npt.NDArray[np.bool_]:
    """Which frames are in the file as their rows say."""
    if not file_size(folder / VIDEO):
        return np.zeros(len(table), bool)
    whole = np.zeros(len(table), bool)
    with (folder / VIDEO).open("rb") as file:
        for number, row in enumerate(table):
            whole[number] = is_whole(file, row)
            if counted is not None:
                counted(int(row["nbytes"]))
    return whole


def _readable(table: FrameTable, whole: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which frames can be decoded: whole ones, with all from the last key frame on before them."""
    readable = np.zeros(len(table), bool)
    end, index = 0, -1
    for number, row in enumerate(table):
        follows = number > 0 and readable[number - 1] and row["offset"] == end
        readable[number] = whole[number] and row["index"] > index and bool(row["is_key"] or follows)
        if readable[number]:
            end, index = row["offset"] + row["nbytes"], row["index"]
    return readable


def _frames_in(path: Path, at: int) -> FrameTable:
    """Rows for the whole frames in a file from one of its packets on, as their marks say."""
    n_packets = (file_size(path) - at) // TS_NBYTES
    if at < 0 or n_packets < 1:  # a table that is damaged may say anything
        return np.zeros(0, FRAME_DTYPE)
    packets = np.fromfile(path, np.uint8, n_packets * TS_NBYTES, offset=at).reshape(-1, TS_NBYTES)
    is_video = ((packets[:, 1].astype(int) & 0x1F) << 8 | packets[:, 2]) == VIDEO_PID
    video = np.flatnonzero(is_video)
    starts = np.flatnonzero(packets[video, 1] & 0x40)  # "payload unit start", in the order of `video`
    rows: list[np.void] = []
    for first, last in pairwise([*starts, len(video)]):
        # Tables of the program, which come before a key frame, belong to it.
        begin = video[first - 1] + 1 if first else 0
        part = packets[begin : video[last - 1] + 1]
        mark = mark_in(_payload(packets[video[first:last]]))
        if mark is not None:
            rows.append(table_row(mark, at + int(begin) * TS_NBYTES, part.tobytes()))
    return np.array(rows, FRAME_DTYPE)


def _payload(packets: npt.NDArray[np.uint8]) -> bytes:
    """What the packets of one frame carry."""
    parts: list[bytes] = []
    for packet in packets:
        control = packet[3] >> 4 & 3  # whether there is an "adaptation field", a payload, or both
        if control & 1:
            parts.append(packet[5 + int(packet[4]) if control & 2 else 4 :].tobytes())
    return b"".join(parts)


def _state(folder: Path, entry: SegmentEntry, readable: FrameTable, stop: int) -> VideoState:
    """What is missing before an index, neither readable nor in a gap."""
    there = [(int(index), int(index) + 1) for index in readable["index"]]
    there += [(gap.start, gap.stop) for gap in entry.gaps]
    lost: list[tuple[int, int]] = []
    at = entry.start
    for begin, end in sorted(there):
        if at < min(begin, stop):
            lost.append((at, min(begin, stop)))
        at = max(at, end)
    if at < stop:
        lost.append((at, stop))
    problems = tuple(
        f"{folder.name}: frames [{a}, {b}) are not in {VIDEO} and its table as they were written"
        for a, b in lost
    )
    whole_stop = lost[-1][0] if lost and lost[-1][1] == stop else stop
    return VideoState(problems, whole_stop, tuple(lost))
