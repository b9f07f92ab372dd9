"""A run as a block of Neo (https://neo.readthedocs.io), in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.optional import import_optional
from pyacq_lab.recording.annotations import Annotations
from pyacq_lab.recording.export.plan import NOTES, Part, plan_of, tell, text_of_note, timed_events
from pyacq_lab.recording.run import Run

_SPELT = {"µ": "u", "μ": "u", "°C": "degC", "%": "percent", "Ω": "ohm"}
"""Units as quantities spells them."""


def to_neo(run: Run, streams: str | Sequence[str] | None = None, *, segment: int | None = None) -> Any:
    """Make a `neo.Block` of a run, or of some of its streams.

    Each start of the recorder is a segment, on the time axis of the run. A signal has one `neo.AnalogSignal`
    for each piece between its gaps, in units, and the gaps themselves as a `neo.Epoch`; a stream of events is
    a `neo.Event`, or a `neo.Epoch` where an event lasts. Notes on the run are an epoch of the first segment.
    All samples are read into memory.

    Parameters
    ----------
    run : Run
        The run.
    streams : str or sequence of str, optional
        Names of the streams; None for all.
    segment : int, optional
        Which start of the streams, counted from 0; None for all.

    Returns
    -------
    neo.Block
        With the run folder's name and time.

    Raises
    ------
    ConfigurationError
        A stream is neither a signal nor events; or there is nothing.
    UnknownName
        There is no stream or no segment of this name.
    MissingDependency
        Neo is not installed.
    """
    neo = import_optional("neo", "to_neo()", "neo", "neo")
    plan = plan_of(run, streams, segment, None)
    block = neo.Block(
        name=run.path.name, rec_datetime=run.started, file_origin=str(run.path), host=plan.manifest.host
    )
    segments: dict[int, Any] = {}
    for part in plan.parts:
        if part.number not in segments:
            segments[part.number] = neo.Segment(name=f"start {part.number}", index=part.number)
        into = segments[part.number]
        if part.is_events:
            found = _events(neo, part)
            (into.epochs if isinstance(found, neo.Epoch) else into.events).append(found)
        elif part.is_table:
            into.analogsignals.extend(_pieces(neo, part))
            if part.signal.gaps:
                into.epochs.append(_gaps(neo, part))
        else:
            raise ConfigurationError(
                f"{part.signal!r} is neither a signal nor events, which Neo has no place for: "
                "leave it out with streams=[...]"
            )
    if plan.notes:
        segments[min(segments)].epochs.append(_notes(neo, plan.notes))
    block.segments.extend([segments[number] for number in sorted(segments)])
    return block


def _pieces(neo: Any, part: Part) -> list[Any]:
    signal, spec = part.signal, part.signal.spec
    units = _units(part)
    made: list[Any] = []
    for start, stop in signal.pieces:
        if start == stop:
            continue
        made.append(
            neo.AnalogSignal(
                part.in_units(start, stop).reshape(stop - start, spec.n_channels),
                units=units,
                t_start=_seconds(float(signal.times_between(start, start + 1)[0])),
                sampling_rate=spec.sample_rate * _quantities().Hz,
                name=signal.name,
                array_annotations={"channel_names": np.array(spec.names)},
                units_as_recorded=spec.units,
                first_index=start,
                epoch=signal.epoch,
                is_timed=part.is_timed,
                time_uncertainty=signal.uncertainty,
                group_delay=spec.group_delay,
            )
        )
    return made


def _gaps(neo: Any, part: Part) -> Any:
    signal = part.signal
    starts = [float(signal.times_between(gap.start, gap.start + 1)[0]) for gap in signal.gaps]
    return neo.Epoch(
        times=_seconds(starts),
        durations=_seconds([len(gap) / signal.sample_rate for gap in signal.gaps]),
        labels=np.array([gap.reason for gap in signal.gaps], "U"),
        name=f"{signal.name} gaps",
    )


def _events(neo: Any, part: Part) -> Any:
    events, rate = timed_events(part), part.signal.sample_rate
    fields = {
        "times": _seconds([part.time_of(event) for event in events]),
        "labels": np.array([event.label for event in events], "U"),
        "name": part.signal.name,
        "array_annotations": {
            name: np.array([getattr(event, name) for event in events], np.int64)
            for name in ("code", "channel", "index")
        },
    }
    if not any(event.duration for event in events):
        return neo.Event(**fields)
    return neo.Epoch(**fields, durations=_seconds([event.duration / rate for event in events]))


def _notes(neo: Any, notes: Annotations) -> Any:
    return neo.Epoch(
        times=_seconds([note.time for note in notes]),
        durations=_seconds([note.duration for note in notes]),
        labels=np.array([text_of_note(note) for note in notes], "U"),
        name=NOTES,
    )


def _seconds(values: float | list[float]) -> Any:
    return np.asarray(values, np.float64) * _quantities().s


def _quantities() -> Any:
    return import_optional("quantities", "to_neo()", "quantities", "neo")


def _units(part: Part) -> Any:
    # By name, not by quantities' parser: that evaluates what it is given.
    quantities = _quantities()
    name = units = part.signal.units
    for sign, spelt in _SPELT.items():
        name = name.replace(sign, spelt)
    found = getattr(quantities, name, None) if name else None
    if isinstance(found, quantities.UnitQuantity):
        return found
    if units:
        tell(f"{part.title!r}: quantities has no unit {units!r}; its signals are dimensionless")
    return quantities.dimensionless
