"""Signals against another reference than that of the amplifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import StrictInt, StrictStr, model_validator

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import physical_spec, require_signal
from pyacq_lab.processing.selection import Columns, Selection, as_columns, find_channels

Channel = StrictInt | StrictStr


class ReferenceSettings(Settings):
    """Settings of `Reference`; without any it is the common average."""

    kind: Literal["average", "channels", "bipolar"] = setting(
        "average",
        description="what is taken off each channel: the average of all; that of some `channels`; or, with "
        "bipolar, each of `pairs` becomes the difference of its two channels",
    )
    channels: Selection | None = setting(
        None, description="with kind='channels': the reference, by names, indices and slices"
    )
    exclude: Selection | None = setting(
        None, description="with kind='average': channels that do not count, such as bad ones"
    )
    pairs: tuple[tuple[Channel, Channel], ...] | None = setting(
        None, min_length=1, description="with kind='bipolar': pairs of channels, the second is taken off"
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        owners = {"channels": "channels", "exclude": "average", "pairs": "bipolar"}
        for name, kind in owners.items():
            given = getattr(self, name) is not None
            if given and self.kind != kind:
                raise ValueError(f"{name} is for kind='{kind}', not '{self.kind}'")
            if not given and self.kind == kind and name != "exclude":
                raise ValueError(f"kind='{kind}' needs {name}")
        return self


class Reference(Transform):
    """Takes a reference off each sample: the common average, that of chosen channels, or a neighbour.

    One input `in`, one output `out` of float64 in the input's units: each channel's scale and offset are
    applied first. Channels keep their names; those of pairs are called ``"Fp1-F3"``.

    Nothing is held back, and nothing is remembered: a gap stays a gap. NaN or an infinity in a channel that
    the reference is made of spoils all channels of that sample, and no other sample.

    Examples
    --------
    >>> from pyacq_lab.model.chunk import Chunk
    >>> reference = Reference(ReferenceSettings.checked(kind="bipolar", pairs=[("a", "c")]))
    >>> spec = StreamSpec(shape=(-1, 3), channel_names=("a", "b", "c"))
    >>> reference.describe({"in": spec})["out"].names
    ('a-c',)
    >>> reference.process(Chunk(0, np.array([[1.0, 2.0, 5.0]])), "in").tolist()
    [[-4.0]]
    """

    settings_type = ReferenceSettings
    settings: ReferenceSettings
    at_gap = "hold"

    def __init__(self, settings: ReferenceSettings) -> None:
        super().__init__(settings)
        self._spec = StreamSpec()
        self._plus: Columns = slice(None)
        self._minus: Columns = slice(None)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Find the channels."""
        spec, settings = require_signal(inputs["in"], "Reference"), self.settings
        self._spec, self._plus, names = spec, slice(None), spec.names
        minus = list(range(spec.n_channels))
        if settings.pairs is not None:
            both = [tuple(find_channels(spec, (one,), "pairs")[0] for one in pair) for pair in settings.pairs]
            self._plus, minus = as_columns([a for a, _ in both]), [b for _, b in both]
            names = tuple(f"{spec.names[a]}-{spec.names[b]}" for a, b in both)
        elif settings.channels is not None:
            minus = find_channels(spec, settings.channels, "channels")
        elif settings.exclude is not None:
            out = find_channels(spec, settings.exclude, "exclude")
            minus = [c for c in minus if c not in out] or find_channels(spec, (), "all but `exclude`")
        self._minus = as_columns(minus)
        return {"out": physical_spec(spec, shape=(-1, len(names)), channel_names=names)}

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Reference one chunk."""
        data = self._spec.to_physical(chunk.data)
        with np.errstate(invalid="ignore", over="ignore"):
            if self.settings.kind == "bipolar":
                return data[:, self._plus] - data[:, self._minus]
            # In rows that lie in memory as one, whatever the chunk: the order of the sum is always the same.
            data -= np.ascontiguousarray(data[:, self._minus]).mean(axis=1, keepdims=True)
        return data
