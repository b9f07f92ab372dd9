"""A sink that writes any number of streams into one run folder."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from pyacq_lab._version import __version__
from pyacq_lab.errors import RecordingError, UnknownName
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Sink
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.manifest import (
    GapLine,
    Manifest,
    SegmentEntry,
    StreamEntry,
    TimeLine,
    stream_folder,
    write_manifest,
)
from pyacq_lab.recording.segment import SegmentWriter
from pyacq_lab.recording.zarr_layout import ArrayLayout, chunk_rows, write_group

LARGEST_CHUNK = 16 * 2**20
"""Bytes per chunk of an array at most: what a reader must read to see a single sample."""

ARRAYS_EVERY_NS = 1_000_000_000
"""Between two updates of the arrays' shapes. Replacing a file costs a write to disk on some file systems
(1.7 ms on ext4), so that `run.json`, one file for all streams, says what is acknowledged, and the arrays'
own metadata follow for those who know Zarr only."""

TIME_EVERY_NS = 10_000_000_000
"""Between two times of samples in the journal; enough for a fit of the device's clock against the host's."""


class RecorderSettings(Settings):
    """Settings of `Recorder`."""

    path: str = Field(
        "run_{date}_{time}",
        min_length=1,
        description="run folder on the node's machine, made at the first start and never overwritten; "
        "{date} and {time} (UTC) are filled in",
    )
    chunk_seconds: float = Field(
        60.0, gt=0, description="length of an array's chunks, s; at most 16 MiB each"
    )
    fsync: Literal["never", "chunk", "flush"] = Field(
        "never",
        description="when to wait until the disk has the data: 'never' survives any death of the process, "
        "but a power cut may take the last half minute; 'chunk' waits at each full chunk and at stop; "
        "'flush' loses nothing acknowledged, at the price of some syncs of the disk (milliseconds to tens "
        "of them each) for each stream a few times a second",
    )


class Recorder(Sink):
    """Record any number of streams into one run folder, to be read with `open_run`.

    Every start appends a new segment to each stream; a new epoch does so too. Gaps keep their place: they
    are noted in the journal, and their samples have rows without data. After a SIGKILL at any moment, all
    that `flush` had acknowledged is there. Others can read it while it grows: `open_run` up to the last
    `flush`, what knows Zarr only up to a second behind. See `manifest` and `SegmentWriter` for how.
    """

    settings_type = RecorderSettings
    settings: RecorderSettings
    inputs = None

    def __init__(self, settings: RecorderSettings) -> None:
        super().__init__(settings)
        self.folder: Path | None = None
        self._manifest = Manifest()
        self._tracks: dict[str, _Track] = {}
        self._is_changed = False
        self._arrays_ns = 0

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        """Make the run folder, at the first start, and get ready for a new segment of each stream.

        Raises
        ------
        RecordingError
            The folder exists already or cannot be made.
        """
        with self._explained():
            if self.folder is None:
                self._make_folder()
            for name, spec in inputs.items():
                entry = self._manifest.streams.setdefault(name, StreamEntry(spec=spec, segments=[]))
                entry.spec = spec
                self._tracks[name] = _Track(self._layout(spec), self._run_folder / stream_folder(name), entry)
                write_group(self._tracks[name].folder)
            self._publish("recording")

    def write(self, chunk: Chunk, name: str) -> None:
        """Write one chunk to disk; it is acknowledged by the next `flush`.

        Raises
        ------
        RecordingError
            The disk is full, the folder is gone, or the chunk overlaps what was written.
        """
        if not len(chunk):
            return
        with self._explained():
            segment = self._segment(name, chunk.epoch, chunk.start)
            track = self._tracks[name]
            if chunk.start < track.position:
                raise RecordingError(
                    f"{name!r}: chunk [{chunk.start}, {chunk.stop}) overlaps what was recorded up to "
                    f"{track.position}"
                )
            if chunk.start > track.position:
                track.skip(GapLine(track.position, chunk.start, "not announced"))
            track.note_time(chunk)
            segment.append(chunk.data)

    def gap(self, gap: Gap, name: str) -> None:
        """Note a gap, and leave room for the samples that never came."""
        with self._explained():
            self._segment(name, gap.epoch, gap.start)
            track = self._tracks[name]
            start = max(gap.start, track.position)
            if gap.stop > start:
                if gap.start > track.position:
                    track.skip(GapLine(track.position, gap.start, "not announced"))
                track.skip(GapLine(start, gap.stop, gap.reason))

    def flush(self) -> Mapping[str, int]:
        """Acknowledge all that was written; costs nothing where nothing was."""
        with self._explained():
            has_new_rows = [track.acknowledge() for track in self._tracks.values()]
            if any(has_new_rows) or self._is_changed:
                self._publish("recording")
            now_ns = self.clock.now_ns()
            if now_ns - self._arrays_ns >= ARRAYS_EVERY_NS:
                self._arrays_ns = now_ns
                for track in self._tracks.values():
                    track.publish()
        return {
            n: t.entry.segments[-1].acknowledged for n, t in self._tracks.items() if t.segment is not None
        }

    def close(self) -> None:
        """Acknowledge what there is and close the files."""
        if not self._tracks:
            return
        with self._explained():
            with ExitStack() as last:
                # Each on its own: where one cannot be finished, the others still are.
                for track in self._tracks.values():
                    last.callback(track.finish)
                self._tracks = {}
            self._publish("stopped")

    @property
    def _run_folder(self) -> Path:
        if self.folder is None:
            raise RecordingError("the recorder was not opened: start it first")
        return self.folder

    def _make_folder(self) -> None:
        now_ns = self.clock.now_ns()
        now = time.gmtime(now_ns // 1_000_000_000)
        names = {"date": time.strftime("%Y-%m-%d", now), "time": time.strftime("%H-%M-%S", now)}
        text = self.settings.path
        for key, value in names.items():
            text = text.replace("{" + key + "}", value)
        folder = Path(text).expanduser().absolute()
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            raise RecordingError(
                f"{folder} exists already and is never overwritten: give another path, "
                "or one with {date} and {time} in it"
            ) from None
        write_group(folder)
        write_group(folder / "streams")
        self.folder = folder
        self._manifest = Manifest(
            started_ns=now_ns,
            host=platform.node(),
            software={
                "pyacq_lab": __version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
                "platform": platform.platform(),
            },
            streams={},
        )

    def _layout(self, spec: StreamSpec) -> ArrayLayout:
        return ArrayLayout(spec, chunk_rows(spec, self.settings.chunk_seconds, LARGEST_CHUNK))

    def _segment(self, name: str, epoch: int, start: int) -> SegmentWriter:
        """Segment that takes samples of this epoch, a new one where there is none."""
        track = self._tracks.get(name)
        if track is None:
            raise UnknownName(
                f"no stream {name!r} is being recorded (open: {', '.join(self._tracks) or 'none'})"
            )
        entry = track.entry
        if track.segment is not None and entry.segments[-1].epoch == epoch:
            return track.segment
        track.finish()
        number = len(entry.segments)
        fsync = self.settings.fsync
        track.segment = SegmentWriter(
            track.folder / str(number), track.layout, sync_chunks=fsync != "never", sync_rows=fsync == "flush"
        )
        folder = f"{stream_folder(name)}/{number}"
        entry.segments.append(
            SegmentEntry(
                folder=folder,
                spec=entry.spec,
                chunk_rows=track.layout.chunk_rows,
                epoch=epoch,
                start=start,
                acknowledged=start,
            )
        )
        self._is_changed = True
        return track.segment

    def _publish(self, state: str) -> None:
        self._manifest.state = state
        is_synced = self.settings.fsync == "flush" or (self.settings.fsync == "chunk" and state == "stopped")
        write_manifest(self._run_folder, self._manifest, sync=is_synced)
        self._is_changed = False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RecordingError:
            raise
        except OSError as error:
            where = self.folder or self.settings.path
            raise RecordingError(
                f"cannot record into {where}: {error}. All that was acknowledged before is readable"
            ) from error


class _Track:
    """One stream while it is recorded."""

    def __init__(self, layout: ArrayLayout, folder: Path, entry: StreamEntry) -> None:
        self.layout = layout
        self.folder = folder
        self.entry = entry
        self.segment: SegmentWriter | None = None
        self._next_time_ns = 0

    @property
    def position(self) -> int:
        """Absolute index after the last row written."""
        return self.entry.segments[-1].start + (self.segment.rows if self.segment else 0)

    def skip(self, line: GapLine) -> None:
        """Leave room for a gap."""
        if self.segment is not None:
            self.segment.note(line)
            self.segment.skip(line.stop - line.start)
            self.entry.segments[-1].gaps += 1

    def note_time(self, chunk: Chunk) -> None:
        """Keep the time of the segment's first sample, and one more every now and then."""
        if not chunk.time_ns or self.segment is None or chunk.time_ns < self._next_time_ns:
            return
        self._next_time_ns = chunk.time_ns + TIME_EVERY_NS
        self.segment.note(TimeLine(chunk.start, chunk.time_ns, chunk.uncertainty_ns))
        segment = self.entry.segments[-1]
        if not segment.time_ns:
            segment.time_index, segment.time_ns = chunk.start, chunk.time_ns
            segment.uncertainty_ns = chunk.uncertainty_ns

    def acknowledge(self) -> bool:
        """Acknowledge all rows; True where there were new ones."""
        if self.segment is None or not self.segment.is_dirty:
            return False
        segment = self.entry.segments[-1]
        segment.acknowledged = segment.start + self.segment.acknowledge()
        return True

    def publish(self) -> None:
        """Let other programs see the rows that are acknowledged."""
        if self.segment is not None:
            self.segment.publish()

    def finish(self) -> None:
        """Acknowledge all rows of the segment, and close its files whatever happens."""
        segment, self.segment, self._next_time_ns = self.segment, None, 0
        if segment is not None:
            entry = self.entry.segments[-1]
            entry.acknowledged = entry.start + segment.finish()
