"""Events: markers, triggers and messages, as samples of a stream of their own.

An event stream has ``streamtype="event"`` and one structured sample per event, in order. The index of a
sample counts events; where the event belongs in the signal that it marks is said by its own fields.

``index`` is that of a sample of the stream in which the event was found, and ``time_ns`` the time of that
sample, as that stream had it. Where it had been filtered, both are late by the filter's delay, as every
sample of that stream is; ``group_delay`` of the event stream's spec says by how much. The sample as it was
acquired is thus ``index - group_delay * sample_rate``: `index_in` works it out, for any stream that comes
from the same source.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.stream import StreamSpec

LABEL_NBYTES = 64
"""Bytes of UTF-8 that a label has unless the stream says otherwise."""

EVENT_BUFFER = 10_000
"""Events that a producer's ring buffer holds."""

UNKNOWN = -1
"""Index, channel or code of an event that has none."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes
    ----------
    time_ns : int
        When it happened, ns since 1970 UTC by the producing host's clock.
    index : int
        Absolute index of the sample that it marks, in the stream from which it came; `UNKNOWN` where it
        marks none.
    duration : int
        Samples that it lasts; 0 for an instant.
    channel : int
        Column that it concerns; `UNKNOWN` where it concerns all.
    code : int
        Its number: a trigger's value, an edge's sign; `UNKNOWN` where it has none.
    label : str
        Its text.
    """

    time_ns: int
    index: int = UNKNOWN
    duration: int = 0
    channel: int = UNKNOWN
    code: int = UNKNOWN
    label: str = ""


def event_dtype(label_nbytes: int = LABEL_NBYTES) -> np.dtype[Any]:
    """Data type of events: the fields of `Event`, with labels of so many bytes."""
    return np.dtype(
        [
            ("time_ns", "<i8"),
            ("index", "<i8"),
            ("duration", "<i8"),
            ("channel", "<i4"),
            ("code", "<i4"),
            ("label", f"S{label_nbytes}"),
        ]
    )


def event_spec(sample_rate: float, label_nbytes: int = LABEL_NBYTES, **fields: Any) -> StreamSpec:
    """Describe a stream of events.

    Parameters
    ----------
    sample_rate : float
        Rate of the stream whose samples the events mark, Hz: ``index / sample_rate`` is a time. Where they
        mark none, about how many are expected per second.
    label_nbytes : int
        Bytes that a label may have.
    **fields
        Further fields of `StreamSpec`.
    """
    fields.setdefault("buffer_size", EVENT_BUFFER)
    return StreamSpec.of(
        event_dtype(label_nbytes), streamtype="event", shape=(-1,), sample_rate=sample_rate, **fields
    )


def event_array(events: Iterable[Event], label_nbytes: int = LABEL_NBYTES) -> npt.NDArray[Any]:
    """Samples of an event stream, shape (n_events,).

    A label that is too long is cut at a whole character, and ends in "…" to say so.
    """
    rows = [
        (e.time_ns, e.index, e.duration, e.channel, e.code, _fitting(e.label, label_nbytes)) for e in events
    ]
    return np.array(rows, dtype=event_dtype(label_nbytes))


def events_in(data: npt.NDArray[Any]) -> list[Event]:
    """Events in samples of an event stream.

    Raises
    ------
    ConfigurationError
        The samples are no events.
    """
    if data.dtype.names != event_dtype().names:
        raise ConfigurationError(f"samples of dtype {data.dtype} are no events: wanted {event_dtype()}")
    rows: list[Any] = data.tolist()
    return [Event(*row[:5], label=row[5].decode()) for row in rows]


def holds_events(spec: StreamSpec) -> bool:
    """Whether samples of a stream are events, one each."""
    return spec.streamtype == "event" and not spec.sample_shape and spec.np_dtype.names == event_dtype().names


def require_events(spec: StreamSpec, who: str) -> StreamSpec:
    """Give the spec back if it is one of events. Raises StreamMismatch where it is not."""
    if not holds_events(spec):
        raise StreamMismatch(
            f"{who} takes events, shape (-1,), of {event_dtype()}, as triggers give them; "
            f"came: {spec.streamtype} of {spec.np_dtype}, shape {spec.shape}"
        )
    return spec


def index_in(
    events: npt.NDArray[Any], spec: StreamSpec, target: StreamSpec | None = None
) -> npt.NDArray[np.int64]:
    """Indices of the samples of a stream that are of the moments of events.

    Parameters
    ----------
    events : ndarray of `event_dtype`, shape (n_events,)
        Events that mark samples.
    spec : StreamSpec
        Of the stream of events.
    target : StreamSpec, optional
        Of a stream that comes from the same source, at any rate and with any group delay. None: the samples
        as they were acquired.

    Returns
    -------
    ndarray of int64, shape (n_events,)
        The nearest samples.
    """
    rate, delay = (spec.sample_rate, 0.0) if target is None else (target.sample_rate, target.group_delay)
    shift = (delay - spec.group_delay) * rate
    if rate == spec.sample_rate:
        return events["index"] + round(shift)  # exact, however long it has been running
    return np.rint(events["index"] * (rate / spec.sample_rate) + shift).astype(np.int64)


def _fitting(label: str, nbytes: int) -> bytes:
    encoded = label.encode()
    if len(encoded) <= nbytes:
        return encoded
    mark = "…".encode()
    return encoded[: max(0, nbytes - len(mark))].decode(errors="ignore").encode() + mark
