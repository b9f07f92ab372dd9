"""A sink that writes any number of streams into one run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import filelock

from pyacq_lab.errors import RecordingError, UnknownName
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.rig import ClockReading, Rig
from pyacq_lab.model.roles import Sink
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.annotations import Annotation, annotate
from pyacq_lab.recording.diskroom import DiskRoom
from pyacq_lab.recording.lock import lock_run
from pyacq_lab.recording.manifest import (
    BACKUP,
    MANIFEST,
    Manifest,
    StreamEntry,
    write_manifest,
)
from pyacq_lab.recording.recorder_settings import RecorderSettings
from pyacq_lab.recording.rigrecord import RigRecord
from pyacq_lab.recording.runfolder import folder_of, make_run, remove_made, take_folder, take_up
from pyacq_lab.recording.track import Track

ARRAYS_EVERY_NS = 1_000_000_000
"""Between two updates of the arrays' shapes. Replacing a file costs a write to disk on some file systems
(1.7 ms on ext4), so that `run.json`, one file for all streams, says what is acknowledged, and the arrays'
own metadata follow for those who know Zarr only."""

BACKUP_EVERY_NS = 10_000_000_000
"""Between two copies of `run.json`, from which a damaged one is mended."""


class Recorder(Sink):
    """Record any number of streams into one run folder, to be read with `open_run`.

    Every start appends a new segment to each stream; a new epoch does so too. Gaps keep their place: they
    are noted in the journal, and their samples have rows without data. Signals become Zarr arrays, events
    a table of JSON lines, and video is encoded, with a table of the times of its frames. After a SIGKILL at
    any moment, all that `flush` had acknowledged is there; one that goes on with that run fills in what the
    producers still have, and notes the rest as one gap. Others can read it while it grows: `open_run` up to
    the last `flush`, what knows Zarr only up to the last whole chunk. See `manifest`, `SegmentWriter` and
    `VideoWriter` for how.
    """

    settings_type = RecorderSettings
    settings: RecorderSettings
    inputs = None
    wants_rig = True

    def __init__(self, settings: RecorderSettings) -> None:
        super().__init__(settings)
        self.folder: Path | None = None
        self._manifest = Manifest()
        self._tracks: dict[str, Track] = {}
        self._arrays_ns = self._backup_ns = 0
        self._lock: filelock.BaseFileLock | None = None
        self._room = DiskRoom(Path())
        self._past: dict[str, HopLedger] = {}  # accounts of recorders of other processes
        self._rig = RigRecord()
        self._is_behind = False  # run.json, since a try to write it that failed

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        """Make the run folder, at the first start, and get ready for a new segment of each stream.

        Raises
        ------
        RecordingError
            The folder exists already, cannot be made, or another recorder is at it; or the disk is full.
        MissingDependency
            Video is to be encoded, and there is no encoder on this machine.
        """
        self.close()
        with self._explained(), ExitStack() as undo:
            folder, is_new, settings, now_ns = self.folder, False, self.settings, self.clock.now_ns()
            if folder is None:
                folder = folder_of(settings.path, now_ns, settings.min_free)
                is_new = take_folder(folder, may_exist=settings.existing == "continue")
            if is_new:
                undo.callback(remove_made, folder)
            self._lock = lock_run(folder)
            undo.callback(self._release)
            if self.folder is None:
                undo.callback(setattr, self, "folder", None)
                self._manifest = make_run(folder, now_ns) if is_new else take_up(folder, now_ns)
            self._begin(folder, inputs)
            undo.pop_all()

    def places(self) -> Mapping[str, StreamPlace]:
        """Where a recorder that was killed had come to: what its producers still have is filled in."""
        unfinished = {name: track.unfinished for name, track in self._tracks.items()}
        return {
            name: StreamPlace(segment.nonce, segment.producer_epoch, segment.acknowledged)
            for name, segment in unfinished.items()
            if segment is not None and segment.nonce
        }

    def begin(self, name: str, place: StreamPlace, epoch: int) -> None:
        """Go on with the segment of a recorder that was killed, or note where the next one is from."""
        with self._explained():
            self._track(name).begin(place.nonce, place.epoch, epoch)

    def resumed_settings(self) -> Mapping[str, Any]:
        """Another process goes on with the same run."""
        return {} if self.folder is None else {"path": str(self.folder), "existing": "continue"}

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
            self._track(name).write(chunk)

    def gap(self, gap: Gap, name: str) -> None:
        """Note a gap, and leave room for the samples that never came."""
        with self._explained():
            self._track(name).gap(gap)

    def take_accounts(self, ledgers: Mapping[str, HopLedger]) -> None:
        """Keep the accounts for ``run.json``, which the next `flush` or `close` writes."""
        for name, ledger in ledgers.items():
            if name in self._tracks:
                self._manifest.streams[name].ledger = ledger.after(self._past[name])

    def take_rig(self, rig: Rig, name: str) -> None:
        """Keep the set-up, which `open` or the next `flush` writes: ``run.json``, ``settings.jsonl``."""
        self._rig.take_rig(rig, name, self.clock.now_ns())

    def take_clocks(self, readings: Sequence[ClockReading]) -> None:
        """Keep readings of clocks for ``clocks.jsonl``, to which `open` or the next `flush` appends them."""
        self._rig.take_clocks(readings)

    def flush(self) -> Mapping[str, int]:
        """Acknowledge all that was written; costs nothing where nothing was.

        Raises
        ------
        RecordingError
            The disk has less room left than the settings want, or none, or the folder is gone.
        """
        with self._explained():
            self._room.require_folder()
            has_new_rows = [track.acknowledge() for track in self._tracks.values()]
            self._is_behind = self._is_behind or any(has_new_rows)
            if self._is_behind or self._rig.is_news:
                self._rig.note(self._manifest)
                self._write_manifest("recording")
                self._is_behind = False
            self._rig.write(self.folder)
            now_ns = self.clock.now_ns()
            if now_ns - self._arrays_ns >= ARRAYS_EVERY_NS:
                self._arrays_ns = now_ns
                for track in self._tracks.values():
                    track.publish()
            if any(has_new_rows):
                nbytes = sum(track.nbytes for track in self._tracks.values())
                self._room.look(now_ns, nbytes, self.settings.min_free)
        told = {name: track.acknowledged for name, track in self._tracks.items()}
        return {name: index for name, index in told.items() if index is not None}

    def annotate(
        self, text: str, time: float | datetime | None = None, duration: float = 0.0, **fields: Any
    ) -> Annotation:
        """Write a note into the run; it is on disk when this returns. Any thread, also after a stop.

        Parameters
        ----------
        text : str
            The note.
        time : float, datetime or None
            When it happened: s since the run's start, or a date with its time zone; None: now. By the clock
            of the recorder's host.
        duration : float
            How long it lasted, s.
        **fields
            What else to keep with it, as plain data.

        Raises
        ------
        RecordingError
            Nothing was recorded yet, or the note cannot be written.
        ConfigurationError
            The note is not what was wanted; nothing was written.
        """
        folder = self.folder
        if folder is None:
            raise RecordingError("there is no run to annotate yet: start the recorder first")
        started_ns, now_ns = self._manifest.started_ns, self.clock.now_ns()
        return annotate(folder, started_ns, now_ns, text, time, duration, fields)

    def close(self) -> None:
        """Acknowledge what there is and close the files."""
        if self._lock is None:
            return
        with self._explained(), ExitStack() as last:
            last.callback(self._release)
            with ExitStack() as each:
                # Each on its own: where one cannot be finished, the others still are.
                for track in self._tracks.values():
                    each.callback(track.finish)
                self._tracks = {}
            self._rig.note(self._manifest)
            self._rig.write(self.folder)
            self._write_manifest("stopped")

    # --- the run folder

    def _begin(self, folder: Path, inputs: Mapping[str, StreamSpec]) -> None:
        """Get ready for samples of these streams."""
        storage = self.settings.storage()
        is_first = self.folder is None
        was_killed = is_first and self._manifest.state == "recording"
        for name, spec in inputs.items():
            entry = self._manifest.streams.setdefault(name, StreamEntry(spec=spec, segments=[]))
            entry.spec = spec
            if is_first:
                self._past[name] = entry.ledger
            self._past.setdefault(name, HopLedger())
            self._tracks[name] = Track(name, spec, folder, entry, storage, was_killed)
        self.folder, self._room = folder, DiskRoom(folder)
        self._room.require_folder()
        self._rig.note(self._manifest)
        self._rig.write(folder)
        self._write_manifest("recording")

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        self._tracks = {}
        if lock is not None:
            lock.release()

    def _track(self, name: str) -> Track:
        try:
            return self._tracks[name]
        except KeyError:
            known = ", ".join(self._tracks) or "none"
            raise UnknownName(f"no stream {name!r} is being recorded (open: {known})") from None

    def _write_manifest(self, state: str) -> None:
        if self.folder is None:
            raise RecordingError("there is no run folder yet: start the recorder first")
        is_change = state != self._manifest.state
        self._manifest.state = state
        fsync = self.settings.fsync
        is_synced = fsync == "flush" or (fsync == "chunk" and state == "stopped")
        now_ns = self.clock.now_ns()
        write_manifest(self.folder, self._manifest, sync=is_synced, file=MANIFEST)
        if is_change or now_ns - self._backup_ns >= BACKUP_EVERY_NS:
            self._backup_ns = now_ns
            write_manifest(self.folder, self._manifest, sync=is_synced, file=BACKUP)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RecordingError:
            raise
        except OSError as error:
            where = self.folder or self.settings.path
            kept = ". All that was acknowledged before is readable" if self.folder else ""
            raise RecordingError(f"cannot record into {where}: {error}{kept}") from error
