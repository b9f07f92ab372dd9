"""Streams that have a column for each channel and frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import physical_spec
from pyacq_lab.processing.pending import Pending

MOST_COLUMNS = 65_536
"""Columns beyond which their names alone would be a burden to every reader."""


def samples_of(field: str, seconds: float, sample_rate: float) -> int:
    """Turn a period into whole samples. Raises ConfigurationError where it is none."""
    exact = seconds * sample_rate
    if round(exact) < 1 or abs(exact - round(exact)) > 1e-6 * exact:
        near = max(1, round(exact))
        raise ConfigurationError(
            f"{field}={seconds:g} s is {exact:g} samples at {sample_rate:g} Hz: wanted a whole number, such "
            f"as {near} ({near / sample_rate:.9g} s)"
        )
    return round(exact)


def band_spec(
    spec: StreamSpec, frequencies: Sequence[float], hop: int, units: str, group_delay: float
) -> StreamSpec:
    """Describe a stream with a column for each channel and frequency, once in ``hop`` samples of another.

    Raises
    ------
    ConfigurationError
        There would be too many columns.
    """
    names = tuple(f"{name} {frequency:.6g} Hz" for name in spec.names for frequency in frequencies)
    if len(names) > MOST_COLUMNS:
        raise ConfigurationError(
            f"{spec.n_channels} channels and {len(frequencies)} frequencies are {len(names)} columns: wanted "
            f"{MOST_COLUMNS} at most; give fewer frequencies, or select channels first"
        )
    return physical_spec(
        spec,
        shape=(-1, len(names)),
        sample_rate=spec.sample_rate / hop,
        channel_names=names,
        units=units,
        group_delay=group_delay,
        buffer_size=0,
    )


class BandTransform(Transform):
    """Common part of transforms whose result ``k`` belongs to sample ``k * _hop`` of the input.

    ``describe`` of a subclass says what `_spec` comes in and is `_made`, and how many samples before its own
    a result needs (`_before`).
    """

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._spec = self._made = StreamSpec()
        self._hop, self._before = 1, 0
        self._waiting = Pending(1)
        self._next: int | None = None

    def reset(self) -> None:
        """Wait for all that a first result needs again."""
        self._waiting.clear()
        self._next = None

    def _take_in(self, chunk: Chunk) -> int:
        """Keep the samples of a chunk, in physical units; returns the number of the next result."""
        if self._next is None:
            self._next = -(-(chunk.start + self._before) // self._hop)
        self._waiting.add(chunk.with_data(self._spec.to_physical(chunk.data)), self._spec.sample_rate)
        return self._next
