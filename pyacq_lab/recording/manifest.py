"""``run.json``: what a run folder holds, and how far it is acknowledged.

docs/run-format.md describes all files. A run folder is a Zarr v3 group, for anything that reads Zarr::

    run.json                what is here; replaced as a whole, by rename
    run.backup.json         the same, some seconds older
    annotations.jsonl       notes of people; one JSON object a line
    clocks.jsonl            how the hosts' clocks stood, every ten seconds; one JSON object a line
    settings.jsonl          settings of nodes, at the start and at each change; one JSON object a line
    zarr.json
    streams/zarr.json
    streams/ecg/zarr.json
    streams/ecg/0/zarr.json     first segment: an array, time first
    streams/ecg/0/c/0/0         its first shard: an index, then chunks, each with its checksum
    streams/ecg/0/tail-1        rows of a chunk that is not full yet, where chunks are compressed
    streams/ecg/0/journal.jsonl what the segment is, gaps, and times of samples; one JSON object a line
    streams/ecg/1/...           second segment: a later start, or a new epoch
    streams/keys/0/events.jsonl a segment of events: one JSON object a line
    streams/cam/0/video.ts      a segment of video: H.264 in MPEG-TS
    streams/cam/0/frames/c/0/0  its table of frames: an array of int64

Row ``r`` of a segment's array is the sample with absolute index ``start + r``. Samples in a gap have rows
too, NaN for floats and 0 for others: nothing is ever joined over a gap.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.events import holds_events
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.rig import Rig
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.files import replace_file
from pyacq_lab.recording.zarr_layout import ArrayLayout

FORMAT = "pyacq_lab run"
VERSION = 2
MANIFEST = "run.json"
BACKUP = "run.backup.json"
JOURNAL = "journal.jsonl"
EVENTS = "events.jsonl"
LOCK = "recording.lock"
NOTES_LOCK = "annotations.lock"
CLOCKS = "clocks.jsonl"
SETTINGS = "settings.jsonl"


class GapLine(msgspec.Struct, frozen=True, tag_field="kind", tag="gap"):
    """Samples ``[start, stop)`` never came, and why."""

    start: int
    stop: int
    reason: str


class TimeLine(msgspec.Struct, frozen=True, tag_field="kind", tag="time"):
    """When sample ``index`` was acquired, and how surely, ns as in `SegmentEntry`."""

    index: int
    time_ns: int
    uncertainty_ns: int


class SegmentEntry(msgspec.Struct, kw_only=True):
    """One array or table: what came of a stream from one start (or epoch) to its end.

    Attributes
    ----------
    folder : str
        The segment's folder, from the run folder, with ``/``.
    kind : {'array', 'events', 'video'}
        What is in it.
    spec : StreamSpec
        What the stream was then.
    chunk_rows, shard_chunks : int
        Of an array: rows per chunk and chunks per shard.
    compression : str
        How the chunks of an array are compressed, or the pictures of a video encoded.
    epoch : int
        The stream's epoch.
    nonce, producer_epoch : int
        Which producer it was, and the epoch as it counts them itself; 0 and -1: unknown.
    start : int
        Absolute index of the first row.
    acknowledged : int
        Absolute index up to which every row is safe; the array's own shape may be a chunk behind.
    time_index, time_ns, uncertainty_ns : int
        Sample ``time_index``, the first one written, was acquired at ``time_ns`` (ns since 1970 UTC by the
        producing host's clock; 0: unknown) with this half-width of uncertainty (-1: unknown).
    gaps : list of GapLine
        Samples that never came.
    producer : str
        Name of the producing host in the rig; empty: unknown.
    """

    folder: str
    kind: Literal["array", "events", "video"] = "array"
    spec: StreamSpec
    chunk_rows: int = 0
    shard_chunks: int = 0
    compression: str = "none"
    epoch: int
    nonce: int = 0
    producer_epoch: int = -1
    start: int
    acknowledged: int
    time_index: int = 0
    time_ns: int = 0
    uncertainty_ns: int = -1
    gaps: list[GapLine] = []
    producer: str = ""

    @property
    def rows(self) -> int:
        """Rows acknowledged."""
        return self.acknowledged - self.start

    @property
    def layout(self) -> ArrayLayout:
        """How the samples of an array lie."""
        return ArrayLayout(self.spec, self.chunk_rows, self.shard_chunks, self.compression)


class SegmentLine(msgspec.Struct, frozen=True, tag_field="kind", tag="segment"):
    """First line of a journal: what ``run.json`` said of the segment when it was begun."""

    name: str
    entry: SegmentEntry


class EndLine(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """The segment was ended before sample ``stop``: what fills up its last chunk does not count."""

    stop: int


class ResumeLine(msgspec.Struct, frozen=True, tag_field="kind", tag="resume"):
    """The segment is gone on with at sample ``start`` by another recorder."""

    start: int


JournalLine = SegmentLine | GapLine | TimeLine | EndLine | ResumeLine


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
    producer : str
        Name of the producing host in the rig; empty: unknown.
    """

    spec: StreamSpec
    segments: list[SegmentEntry] = []
    ledger: HopLedger = HopLedger()
    producer: str = ""


class Manifest(msgspec.Struct, kw_only=True):
    """Contents of ``run.json``.

    Attributes
    ----------
    format, version : str, int
        Name and version of the format.
    state : str
        ``recording`` while a recorder is at it (or was, when it was killed), then ``stopped``; ``recovered``
        after a repair.
    started_ns : int
        When recording started, ns since 1970 UTC: 0 on the time axis of all streams.
    software : dict of str to str
        Versions of what wrote it.
    host : str
        Name of the machine that wrote it.
    streams : dict of str to StreamEntry
        By name of the recorder's input.
    rig : Rig or None
        The set-up that the recorder was part of when it was last told; None: it had no manager.
    recorder, recorded_on : str
        Name of the recorder's node in it, and of its host.
    """

    format: str = FORMAT
    version: int = VERSION
    state: str = "recording"
    started_ns: int = 0
    software: dict[str, str] = {}
    host: str = ""
    streams: dict[str, StreamEntry] = {}
    rig: Rig | None = None
    recorder: str = ""
    recorded_on: str = ""


class _Head(msgspec.Struct):
    format: str = ""
    version: int = 0


def stream_folder(name: str) -> str:
    """Folder of a stream, from the run folder; any name makes a legal one."""
    # Dots are legal, but a name of dots alone is a place of the file system.
    return "streams/" + (quote(name, safe=" ") if name.strip(".") else name.replace(".", "%2E"))


def empty_segment(name: str, spec: StreamSpec) -> SegmentEntry:
    """What there would be of a stream if it had begun and nothing had come."""
    return SegmentEntry(
        folder=f"{stream_folder(name)}/0",
        kind="events" if holds_events(spec) else "array",
        spec=spec,
        chunk_rows=1,
        shard_chunks=1,
        epoch=0,
        start=0,
        acknowledged=0,
    )


def read_manifest(folder: Path, file: str = MANIFEST) -> Manifest:
    """Read ``run.json``.

    Raises
    ------
    RecordingError
        There is none, it is damaged, or another version of the software wrote it.
    """
    path = folder / file
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{folder} is not a run folder: {path.name} cannot be read ({error})") from error
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.format == FORMAT and head.version == VERSION:
            return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordingError(
            f"{path} is damaged: {error}. `pyacq-lab runs recover {folder}` mends it"
        ) from error
    raise RecordingError(
        f"{path} is of format {head.format!r}, version {head.version}; this software reads "
        f"{FORMAT!r}, version {VERSION}: read it with the version of pyacq_lab that wrote it, or a later one"
    )


def write_manifest(folder: Path, manifest: Manifest, *, sync: bool, file: str = MANIFEST) -> None:
    """Replace ``run.json``."""
    replace_file(folder / file, msgspec.json.format(msgspec.json.encode(manifest)), sync=sync)


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """What a manifest says that was known from the beginning, for the run folder's ``zarr.json``."""
    return {
        "format": manifest.format,
        "version": manifest.version,
        "started_ns": manifest.started_ns,
        "software": manifest.software,
        "host": manifest.host,
    }
