"""Sources that are functions of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyacq_lab.devices.pacing import Pace, default_chunk_size
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.functions import Function, FunctionNode, node_type_of
from pyacq_lab.model.roles import Source
from pyacq_lab.model.stream import StreamSpec


class FunctionSource(FunctionNode, Source):
    """A source that is a function of the times of its samples, paced by the clock."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._rate = float(self.fields["sample_rate"])
        self._pace = Pace(self._rate)
        self._position = 0

    def describe(self) -> Mapping[str, StreamSpec]:
        """Find out what it gives for time 0."""
        made = self._array(np.zeros(1))
        return {"out": self._described(made, StreamSpec(shape=(-1, *made.shape[1:]), sample_rate=self._rate))}

    def open(self) -> None:
        """Begin at time 0, now."""
        self._pace.begin(self.clock.now_ns())
        self._position = 0

    def read(self, timeout: float) -> Reading | None:
        """Call it with the times of the samples that are due."""
        start = self._position
        stop = self._pace.take(self.clock, start, default_chunk_size(self._rate), timeout)
        if stop == start:
            return None
        self._position = stop
        return Reading(self._array(np.arange(start, stop) / self._rate), time_ns=self._pace.time_ns(start))


def source(bare: Any = None, /, *, sample_rate: float | None = None, **fields: Any) -> Any:
    """Make a node type of a function that gives samples for times.

    It is called with the times of the samples that are due, s since the start, shape (n_samples,), and gives
    one row for each, or one number, which is one channel, at the pace of the clock; what polls a device with
    one value gives it for each. Its other arguments are settings, as those of `pyacq_lab.transform`.

    Parameters
    ----------
    sample_rate : float
        Samples per second.
    **fields
        What else is to say of the stream, such as ``units="V"``, ``channel_names=("left", "right")``.

    Raises
    ------
    ConfigurationError
        There is no sample rate, or none that could be one.

    Examples
    --------
    >>> @source(sample_rate=100.0, units="V")
    ... def wave(t, frequency: float = 2.0):
    ...     return np.sin(2 * np.pi * frequency * t)[:, np.newaxis]
    """
    if bare is not None or sample_rate is None:
        raise ConfigurationError("@source without a sample rate: say it, as in @source(sample_rate=1000.0)")
    StreamSpec(sample_rate=sample_rate)  # refused here where it is none

    def decorate(function: Function) -> type[FunctionSource]:
        return node_type_of(FunctionSource, function, {"sample_rate": sample_rate, **fields})

    return decorate
