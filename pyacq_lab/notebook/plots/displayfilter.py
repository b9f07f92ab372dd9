"""Processing that only a plot sees: a common average, and a band."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.reference import Reference, ReferenceSettings
from pyacq_lab.processing.sos import SosFilter
from pyacq_lab.processing.sos_design import SosFilterSettings

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
        self._steps: list[Transform] = []
        self._next: int | None = None
        self._settles = 0
        if settings.average:
            self._steps.append(Reference(ReferenceSettings()))
        kind: Literal["lowpass", "highpass", "bandpass"] | None = None
        if settings.low is not None:
            kind = "highpass" if settings.high is None else "bandpass"
            self._settles = round(_SETTLES * spec.sample_rate / settings.low)
        elif settings.high is not None:
            kind = "lowpass"
            self._settles = round(_SETTLES * spec.sample_rate / settings.high)
        if kind is not None:
            band = SosFilterSettings(kind=kind, low=settings.low, high=settings.high, order=2)
            self._steps.append(SosFilter(band))
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
