"""Processing that only a plot sees: a common average, and a band."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

_SETTLES = 3.0
"""Periods of the lower corner (half ones of the upper) after which a filter's beginning is forgotten."""


class FilterSettings(Settings):
    """What a plot does to samples before it draws them; recordings and other readers see nothing of it."""

    average: bool = setting(False, description="whether the average of all channels is taken off each")
    low: float | None = setting(None, gt=0, unit="Hz", description="lower corner of what is drawn")
    high: float | None = setting(None, gt=0, unit="Hz", description="upper corner of what is drawn")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low={self.low} Hz must lie below high={self.high} Hz")
        return self


class DisplayFilter:
    """Reference and filter of one stream, of the same classes that nodes have.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream.
    settings : FilterSettings
        What is done to it.

    Attributes
    ----------
    spec : StreamSpec
        Of what comes out.

    Raises
    ------
    ConfigurationError
        A corner does not fit the sample rate.
    """

    def __init__(self, spec: StreamSpec, settings: FilterSettings) -> None:
        self._steps = _steps(settings)
        self._next: int | None = None
        corner = settings.high if settings.low is None else settings.low
        self._settles = 0 if corner is None else round(_SETTLES * spec.sample_rate / corner)
        for step in self._steps:
            spec = step.describe({"in": spec})["out"]
            step.reset()
        self.spec = spec

    @property
    def settles(self) -> int:
        """Samples before those wanted with which it should begin."""
        return self._settles

    def process(self, item: Chunk | Gap) -> Chunk | Gap:
        """Give what is drawn of a chunk; a gap stays a gap, and the filter begins anew after it."""
        if not self._steps:
            return item
        if isinstance(item, Gap) or item.start != self._next:
            for step in self._steps:
                step.reset()
        self._next = item.stop
        if isinstance(item, Gap):
            return item
        data: npt.NDArray[Any] = item.data
        for step in self._steps:
            data = np.asarray(step.process(item.with_data(data), "in"))
        return item.with_data(data)


def _steps(settings: FilterSettings) -> list[Transform]:
    steps: list[Transform] = []
    if settings.average:
        from pyacq_lab.processing.reference import Reference, ReferenceSettings

        steps.append(Reference(ReferenceSettings()))
    low, high = settings.low, settings.high
    if low is not None or high is not None:
        # Here, because a plot without a filter need not wait for scipy.
        from pyacq_lab.processing.sos import SosFilter
        from pyacq_lab.processing.sos_design import SosFilterSettings

        kind = "lowpass" if low is None else "highpass" if high is None else "bandpass"
        steps.append(SosFilter(SosFilterSettings(kind=kind, low=low, high=high, order=2)))
    return steps
