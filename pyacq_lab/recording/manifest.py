"""``run.json``: what a run folder holds, and how far it is acknowledged.

A run folder is a Zarr v3 group that anything that reads Zarr can open::

    run.json                what is here; replaced as a whole, by rename
    zarr.json
    streams/zarr.json
    streams/ecg/zarr.json
    streams/ecg/0/zarr.json     first segment: an array, time first
    streams/ecg/0/c/0/0         its first chunk: rows of samples as they are in memory
    streams/ecg/0/journal.jsonl gaps, and times of samples; one JSON object a line
    streams/ecg/1/...           second segment: a later start, or a new epoch

Row ``r`` of a segment's array is the sample with absolute index ``start + r``. Samples in a gap have rows
too, NaN for floats and 0 for others: nothing is ever joined over a gap.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import msgspec

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.stream import StreamSpec

FORMAT = "pyacq_lab run"
VERSION = 1
MANIFEST = "run.json"
JOURNAL = "journal.jsonl"


class SegmentEntry(msgspec.Struct, kw_only=True):
    """One array: what came of a stream from one start (or epoch) to its end.

    Attributes
    ----------
    folder : str
        The array's folder, from the run folder, with ``/``.
    spec : StreamSpec
        What the stream was then.
    chunk_rows : int
        Rows per chunk of the array.
    epoch : int
        The stream's epoch.
    start : int
        Absolute index of the first row.
    acknowledged : int
        Absolute index up to which every row is safe; the array's own shape may be a second behind.
    time_index, time_ns, uncertainty_ns : int
        Sample ``time_index``, the first one written, was acquired at ``time_ns`` (ns since 1970 UTC by the
        producing host's clock; 0: unknown) with this half-width of uncertainty (-1: unknown).
    gaps : int
        Number of gaps in the journal.
    """

    folder: str
    spec: StreamSpec
    chunk_rows: int
    epoch: int
    start: int
    acknowledged: int
    time_index: int = 0
    time_ns: int = 0
    uncertainty_ns: int = -1
    gaps: int = 0


class StreamEntry(msgspec.Struct, kw_only=True):
    """One stream: its description and its segments, in the order of time.

    Attributes
    ----------
    spec : StreamSpec
        What it was when last started.
    segments : list of SegmentEntry
        Arrays.
    ledger : HopLedger
        Accounts of the recorder's connection, of all its starts, as of the last time that something was
        acknowledged: what was sent to it, received, lost on the way and repaired.
    """

    spec: StreamSpec
    segments: list[SegmentEntry] = []
    ledger: HopLedger = HopLedger()


class Manifest(msgspec.Struct, kw_only=True):
    """Contents of ``run.json``.

    Attributes
    ----------
    format, version : str, int
        Name and version of the format.
    state : str
        ``recording`` while a recorder is at it (or was, when it was killed), then ``stopped``.
    started_ns : int
        When recording started, ns since 1970 UTC: 0 on the time axis of all streams.
    software : dict of str to str
        Versions of what wrote it.
    host : str
        Name of the machine that wrote it.
    streams : dict of str to StreamEntry
        By name of the recorder's input.
    """

    format: str = FORMAT
    version: int = VERSION
    state: str = "recording"
    started_ns: int = 0
    software: dict[str, str] = {}
    host: str = ""
    streams: dict[str, StreamEntry] = {}


class _Head(msgspec.Struct):
    format: str = ""
    version: int = 0


class GapLine(msgspec.Struct, frozen=True, tag_field="kind", tag="gap"):
    """Line of a journal: samples ``[start, stop)`` never came, and why."""

    start: int
    stop: int
    reason: str


class TimeLine(msgspec.Struct, frozen=True, tag_field="kind", tag="time"):
    """Line of a journal: when sample ``index`` was acquired, and how surely, ns as in `SegmentEntry`."""

    index: int
    time_ns: int
    uncertainty_ns: int


JournalLine = GapLine | TimeLine


def stream_folder(name: str) -> str:
    """Folder of a stream, from the run folder; any name makes a legal one."""
    # Dots are legal, but a name of dots alone is a place of the file system.
    return "streams/" + (quote(name, safe=" ") if name.strip(".") else name.replace(".", "%2E"))


def read_manifest(folder: Path) -> Manifest:
    """Read ``run.json``.

    Raises
    ------
    RecordingError
        There is none, it is damaged, or a later version of the software wrote it.
    """
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{folder} is not a run folder: {path.name} cannot be read ({error})") from error
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.format == FORMAT and head.version == VERSION:
            return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordingError(f"{path} is damaged: {error}") from error
    raise RecordingError(
        f"{path} is of format {head.format!r}, version {head.version}; this software reads "
        f"{FORMAT!r}, version {VERSION}: update pyacq_lab to read it"
    )


def read_journal(path: Path) -> list[JournalLine]:
    """Lines of a journal; a last line that is being written, or was when its writer died, is left out."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    decoder = msgspec.json.Decoder(JournalLine)
    try:
        return [decoder.decode(line) for line in lines]
    except msgspec.MsgspecError as error:
        raise RecordingError(f"{path} is damaged: {error}") from error


def replace_file(path: Path, content: bytes, *, sync: bool) -> None:
    """Replace a file as a whole: a reader, or a crash, sees the old content or the new."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(draft, path)


def write_manifest(folder: Path, manifest: Manifest, *, sync: bool) -> None:
    """Replace ``run.json``."""
    replace_file(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)), sync=sync)
