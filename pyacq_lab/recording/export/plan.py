"""What is exported: segments of streams, read block by block, and where each stands in time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, UnknownName
from pyacq_lab.model.events import Event, holds_events
from pyacq_lab.recording.annotations import Annotation, Annotations
from pyacq_lab.recording.manifest import Manifest
from pyacq_lab.recording.run import Run
from pyacq_lab.recording.signal import Signal

BLOCK_NBYTES = 4 * 2**20
"""Bytes of samples in memory at a time, about: a run need not fit."""

Progress = Callable[[int, int], None]
"""Told how many samples are written, and of how many."""


class ExportWarning(UserWarning):
    """Something of the run that the file's format cannot hold; the message says what."""


def tell(text: str) -> None:
    """Warn of something that is lost."""
    warnings.warn(text, ExportWarning, stacklevel=3)


@dataclass(frozen=True)
class Part:
    """One segment of a stream.

    Attributes
    ----------
    signal : Signal
        Its samples.
    number : int
        Which segment of the stream.
    title : str
        The stream's name, and the segment's number where there are several.
    origin_ns : int
        Start of the run, ns since 1970 UTC.
    """

    signal: Signal
    number: int
    title: str
    origin_ns: int

    @property
    def is_events(self) -> bool:
        """Whether its samples are events."""
        spec = self.signal.spec
        return holds_events(spec)

    @property
    def is_table(self) -> bool:
        """Whether its samples are rows of real numbers, one for each channel."""
        spec = self.signal.spec
        return len(spec.sample_shape) <= 1 and spec.np_dtype.kind in "biuf"

    @property
    def first_time(self) -> float:
        """Time of its first row, s since the run's start."""
        return self.signal.first_time

    @property
    def is_timed(self) -> bool:
        """Whether the time of its samples was known."""
        return len(self.signal.sample_times) > 0

    def blocks(self, start: int, stop: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
        """Cut ``[start, stop)`` into blocks of about `BLOCK_NBYTES`, of a multiple of so many samples."""
        step = max(1, BLOCK_NBYTES // self.signal.spec.sample_nbytes // multiple) * multiple
        for at in range(start, stop, step):
            yield at, min(stop, at + step)

    def in_units(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Samples of a table as floats, in units, NaN in gaps."""
        if self.signal.spec.np_dtype.kind != "b":
            return self.signal[start:stop]
        masked = self.signal.masked(start, stop)
        return np.where(np.ma.getmaskarray(masked), np.nan, masked.data.astype(np.float64))

    def events(self) -> list[Event]:
        """Events, all at once: they are few. Those in gaps never came."""
        return self.signal.events

    def time_of(self, event: Event) -> float:
        """Time of an event, s since the run's start; NaN where it is unknown."""
        return (event.time_ns - self.origin_ns) / 1e9 if event.time_ns else math.nan


@dataclass
class Plan:
    """All parts of an export.

    Attributes
    ----------
    run : Run
        The run.
    manifest : Manifest
        What ``run.json`` said when the export began.
    parts : tuple of Part
        What is to be written; each has samples.
    notes : Annotations
        Notes on the run, whatever parts are written.
    progress : callable or None
        Told of each block.
    metadata : mapping
        What the user knows of the run beside it.
    """

    run: Run
    manifest: Manifest
    parts: tuple[Part, ...]
    notes: Annotations
    progress: Progress | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    _done: int = field(default=0, init=False)

    def wrote(self, n_samples: int) -> None:
        """Tell that so many more samples are written."""
        self._done += n_samples
        if self.progress is not None:
            self.progress(self._done, sum(len(part.signal) for part in self.parts))


def plan_of(
    run: Run, streams: str | Sequence[str] | None, segment: int | None, progress: Progress | None
) -> Plan:
    """Choose what to export; raises as `export`."""
    manifest = run.manifest()
    names = (
        tuple(manifest.streams) if streams is None else (streams,) if isinstance(streams, str) else streams
    )
    if len(set(names)) != len(names):
        raise ConfigurationError(f"streams={list(names)}: wanted each name once")
    parts: list[Part] = []
    for name in names:
        signals = run.segments(name)
        if streams is not None and segment is not None and not 0 <= segment < len(signals):
            raise UnknownName(f"segment={segment}: {name!r} has {len(signals)} segment(s), counted from 0")
        for number, signal in enumerate(signals):
            if len(signal) and segment in (None, number):
                title = name if len(signals) == 1 else f"{name} {number}"
                parts.append(Part(signal, number, title, manifest.started_ns))
    if not parts:
        raise ConfigurationError(
            f"{run.path.name}: there is nothing to export, no sample was recorded of "
            f"{', '.join(names) or 'any stream'}" + ("" if segment is None else f" in segment {segment}")
        )
    return Plan(run, manifest, tuple(parts), run.annotations, progress)


def only_part(plan: Plan, format: str) -> Part:
    """Give the only part, for a format that holds one.

    Raises
    ------
    ConfigurationError
        There are several.
    """
    first, *others = plan.parts
    if others:
        listed = ", ".join(repr(part.title) for part in plan.parts)
        raise ConfigurationError(
            f"a {format} file holds one stream from one start, these are {len(plan.parts)}: {listed}; "
            "choose with streams= and segment="
        )
    return first


def timed_events(part: Part) -> list[Event]:
    """Events that have a time; says by an `ExportWarning` how many have none."""
    events = part.events()
    timed = [event for event in events if event.time_ns]
    if n_lost := len(events) - len(timed):
        tell(
            f"{part.title!r}: {n_lost} events are left out, as their time is unknown; HDF5 and CSV keep them"
        )
    return timed


def text_of(event: Event) -> str:
    """Text of an event, for a format that has nothing else of it: its label, or its code."""
    return event.label or str(event.code)


NOTES = "annotations"
"""Name of notes where a format has them beside streams."""


def text_of_note(note: Annotation) -> str:
    """Text of a note with its fields, for a format that has texts only."""
    return note.text + "".join(f", {name}={value!r}" for name, value in note.fields.items())


def warn_lost_fields(part: Part, format: str, kept: str = "time, duration and text") -> None:
    """Warn of what a format that holds texts only leaves out of events."""
    fields = [f for f in ("duration", "channel", "code") if f not in kept]
    lost = sorted({f for event in part.events() for f in fields if _is_lost(event, f)})
    if lost:
        tell(f"{part.title!r}: {format} holds {kept} of an event; its {', '.join(lost)} are left out")


def _is_lost(event: Event, field: str) -> bool:
    if field == "duration":
        return event.duration != 0
    return getattr(event, field) != -1 and (field == "channel" or bool(event.label))


def warn_untimed(part: Part) -> None:
    """Warn where times in a file would be taken for true."""
    if not part.is_timed:
        tell(f"{part.title!r}: its time is unknown, and is counted from the start of the run")
