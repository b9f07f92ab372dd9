"""Raw numbers to physical ones, and those to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import FiniteFloat

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import physical_spec, require_signal

PerChannel = FiniteFloat | tuple[FiniteFloat, ...]


class RescaleSettings(Settings):
    """Settings of `Rescale`; without any, raw numbers become physical ones."""

    gain: PerChannel = setting(1.0, live=True, description="factor: one number, or one for each channel")
    offset: PerChannel = setting(
        0.0,
        live=True,
        description="what is added after the factor, in the units of the output; one number, or one each",
    )
    units: str | None = setting(None, description="units of the output; None: those of the input")


class Rescale(Transform):
    """Gives ``physical * gain + offset``, where ``physical`` are the input's samples in its units.

    One input `in`, one output `out` of float64 whose own scale is 1 and offset 0. A sensor of 20 mV/N on an
    input in V: ``gain=50, units="N"``.

    Nothing is held back, and nothing is remembered: a gap stays a gap, NaN and infinities stay in their
    place. Beyond the range of float64 a result is infinite.

    Examples
    --------
    >>> from pyacq_lab.model.chunk import Chunk
    >>> rescale = Rescale(RescaleSettings.checked(gain=1000, units="mV"))
    >>> spec = StreamSpec.of("int16", shape=(-1, 1), units="V", scale=0.5, offset=1.0)
    >>> rescale.describe({"in": spec})["out"].units
    'mV'
    >>> rescale.process(Chunk(0, np.array([[0], [2]], "int16")), "in").tolist()
    [[1000.0], [2000.0]]
    """

    settings_type = RescaleSettings
    settings: RescaleSettings
    at_gap = "hold"

    def __init__(self, settings: RescaleSettings) -> None:
        super().__init__(settings)
        self._spec = StreamSpec()
        self._gain = self._offset = np.zeros(1)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Match the numbers with the channels."""
        self._spec = require_signal(inputs["in"], "Rescale")
        self._take(self.settings)
        units = self._spec.units if self.settings.units is None else self.settings.units
        return {"out": physical_spec(self._spec, units=units)}

    def change(self, settings: RescaleSettings) -> None:
        """Take other numbers from the next sample on."""
        self._take(settings)
        super().change(settings)

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Rescale one chunk."""
        with np.errstate(over="ignore", invalid="ignore"):
            data = self._spec.to_physical(chunk.data)
            data *= self._gain
            data += self._offset
        return data

    def _take(self, settings: RescaleSettings) -> None:
        for name in ("gain", "offset"):
            value: PerChannel = getattr(settings, name)
            if isinstance(value, tuple) and len(value) != self._spec.n_channels:
                raise ConfigurationError(
                    f"{len(value)} numbers as {name} for {self._spec.n_channels} channels: "
                    "give one, or one each"
                )
        self._gain, self._offset = np.asarray(settings.gain), np.asarray(settings.offset)
