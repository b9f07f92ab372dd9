"""Reading of run folders, also while they grow."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from typing import Any

from pyacq_lab.errors import UnknownName
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.rig import Rig
from pyacq_lab.recording.annotations import Annotation, Annotations, annotate, read_annotations
from pyacq_lab.recording.clocks import ClockTable
from pyacq_lab.recording.manifest import Manifest, StreamEntry, empty_segment, read_manifest
from pyacq_lab.recording.settingslog import Changes, read_changes
from pyacq_lab.recording.signal import FACTS, Signal


class Run:
    """A run folder, one start-to-stop (or several) of a `Recorder`.

    Every question is answered from disk: what is still being recorded shows as it grows.

    Examples
    --------
    >>> run = open_run("run_2025-01-31_14-03-00")
    >>> run["ecg"].data.mean(axis=0)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self.manifest()

    def manifest(self) -> Manifest:
        """Contents of ``run.json``, read now."""
        return read_manifest(self.path)

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams."""
        return tuple(self.manifest().streams)

    @property
    def state(self) -> str:
        """``recording``, also where the recorder was killed; or ``stopped``."""
        return self.manifest().state

    @property
    def started(self) -> datetime:
        """When recording started, UTC: 0 on the time axis of all streams."""
        return datetime.fromtimestamp(self.manifest().started_ns / 1e9, UTC)

    def segments(self, name: str) -> tuple[Signal, ...]:
        """Signals of one stream, one for each start and epoch, in the order of time.

        Raises
        ------
        UnknownName
            There is no stream of this name.
        """
        manifest = self.manifest()
        segments = self._entry(manifest, name).segments
        clocks = ClockTable(self.path, manifest.recorded_on)
        return tuple(Signal(name, self.path, entry, manifest.started_ns, clocks) for entry in segments)

    def ledger(self, name: str) -> HopLedger:
        """Accounts of the connection by which a stream came: samples sent, received, dropped and repaired.

        Raises
        ------
        UnknownName
            There is no stream of this name.
        """
        return self._entry(self.manifest(), name).ledger

    @property
    def rig(self) -> Rig | None:
        """The set-up that made it, as the recorder was last told; None where it had no manager."""
        return self.manifest().rig

    @property
    def changes(self) -> Changes:
        """Settings of all nodes at the start, and at each change; empty where it had no manager.

        `rig` has those in force at the end. Raises RecordingError where the table is damaged.
        """
        return read_changes(self.path)

    @property
    def clocks(self) -> ClockTable:
        """Readings of the hosts' clocks."""
        return ClockTable(self.path, self.manifest().recorded_on)

    @property
    def annotations(self) -> Annotations:
        """Notes on the run, in the order of their time. Raises RecordingError where they are damaged."""
        return read_annotations(self.path)

    def annotate(self, text: str, time: float | datetime, duration: float = 0.0, **fields: Any) -> Annotation:
        """Add a note to the run, also long after it was recorded; as `Recorder.annotate`."""
        return annotate(self.path, self.manifest().started_ns, time_ns(), text, time, duration, fields)

    def export(
        self,
        path: str | Path,
        format: str | None = None,
        streams: str | Sequence[str] | None = None,
        *,
        segment: int | None = None,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the run, or some of its streams, into one file of another format.

        As `pyacq_lab.recording.export.export`, which says what the arguments are and what is raised.
        """
        from pyacq_lab.recording.export import export

        return export(
            self,
            path,
            format,
            streams,
            segment=segment,
            overwrite=overwrite,
            progress=progress,
            metadata=metadata,
        )

    def to_neo(self, streams: str | Sequence[str] | None = None, *, segment: int | None = None) -> Any:
        """Make a `neo.Block` of the run, or of some of its streams, in memory.

        As `pyacq_lab.recording.export.neo.to_neo`, which says what is in it and what is raised.
        """
        from pyacq_lab.recording.export.neo import to_neo

        return to_neo(self, streams, segment=segment)

    def to_xarray(self) -> Any:
        """Make an `xarray.DataTree` with the lazy ``samples`` of each stream; see `Signal.to_xarray`.

        Where a stream has several segments, they are ``tree["ecg/0"]``, ``tree["ecg/1"]``, ...
        """
        import_optional("xarray", "to_xarray()", "xarray", "xarray")
        from pyacq_lab.recording.labelled import run_tree

        return run_tree(self)

    def _entry(self, manifest: Manifest, name: str) -> StreamEntry:
        if name not in manifest.streams:
            known = ", ".join(manifest.streams) or "none"
            raise UnknownName(f"{self.path.name} holds no stream {name!r} (it holds: {known})")
        return manifest.streams[name]

    def __getitem__(self, key: str | tuple[str, int]) -> Signal:
        """Signal of a stream; ``run[name, i]`` where it was started several times.

        Signals of several starts are never joined. Where nothing of a stream was recorded, it is empty.
        """
        name, number = key if isinstance(key, tuple) else (key, None)
        segments = self.segments(name) or (self._nothing_of(name),)
        if number is None and len(segments) > 1:
            listed = "; ".join(f"{i}: {s.duration:.3f} s" for i, s in enumerate(segments))
            raise UnknownName(
                f"{name!r} was started {len(segments)} times: choose one with run[{name!r}, i] ({listed})"
            )
        try:
            return segments[number or 0]
        except IndexError:
            raise UnknownName(f"{name!r} has segments 0 to {len(segments) - 1}, not {number}") from None

    def _nothing_of(self, name: str) -> Signal:
        """Signal of a stream of which no sample came."""
        manifest = self.manifest()
        return Signal(name, self.path, empty_segment(name, manifest.streams[name].spec), manifest.started_ns)

    def __iter__(self) -> Iterator[str]:
        return iter(self.streams)

    def __len__(self) -> int:
        return len(self.streams)

    def __contains__(self, name: object) -> bool:
        return name in self.streams

    def __repr__(self) -> str:
        names = ", ".join(self.streams) or "no stream"
        return f"<Run {self.path.name!r}: {self.started:%Y-%m-%d %H:%M:%S} UTC, {self.state}, {names}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{number}</td>"
            + "".join(f"<td>{html.escape(signal.facts.get(column, ''))}</td>" for column in FACTS)
            + "</tr>"
            for name in self.streams
            for number, signal in enumerate(self.segments(name))
        )
        head = f"Run <b>{html.escape(self.path.name)}</b>, {self.started:%Y-%m-%d %H:%M:%S} UTC, {self.state}"
        columns = "".join(f"<th>{column}</th>" for column in ("stream", "segment", *FACTS))
        return f"<table><caption>{head}</caption><tr>{columns}</tr>{rows}</table>"


def open_run(path: str | Path) -> Run:
    """Open a run folder for reading, also while it is being recorded.

    Raises
    ------
    RecordingError
        There is no run folder, it is damaged, or a later version of the software wrote it.
    """
    return Run(path)
