"""The same samples in another data type, byte order, or in physical units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import field_validator, model_validator

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.casting import REAL, Casting, NoFit, cast, fits_exactly


class StreamConverterSettings(Settings):
    """Settings of `StreamConverter`; without any it changes nothing."""

    dtype: str | None = setting(
        None,
        description="numpy data type of the output, such as 'int16'; None: as it comes, floats if physical",
    )
    byte_order: Literal["little", "big", "native"] | None = setting(
        None, description="byte order of the output; None: that of `dtype`"
    )
    casting: Casting = setting(
        "safe",
        description="safe: only where every value fits exactly; round: to the nearest, and what lies beyond "
        "the limits is a fault; saturate: to the nearest, or to the limit",
    )
    physical: bool = setting(
        False,
        description="whether scale and offset are applied: the output is float32 or float64, in `units`",
    )
    nan: int | None = setting(
        None, description="what NaN becomes in an integer data type; None: NaN is a fault there"
    )

    @field_validator("dtype")
    @classmethod
    def _is_real(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                kind = np.dtype(name).kind
            except (TypeError, ValueError, SyntaxError) as error:
                raise ValueError(f"no numpy data type: {error}") from None
            if kind not in REAL:
                raise ValueError("wanted real numbers: bool, int8 to uint64, float16 to float64")
        return name

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        dtype = None if self.dtype is None else np.dtype(self.dtype)
        if self.physical and dtype is not None and dtype.newbyteorder("=") not in (np.float32, np.float64):
            raise ValueError(f"physical=True gives dtype='float32' or 'float64', not {self.dtype!r}")
        if self.nan is not None:
            if dtype is None or dtype.kind not in "iu":
                raise ValueError(f"nan={self.nan} is for an integer dtype, not {self.dtype!r}")
            limits = np.iinfo(dtype)
            if not limits.min <= self.nan <= limits.max:
                raise ValueError(f"nan={self.nan} does not fit {dtype}: {limits.min} to {limits.max}")
        return self


class StreamConverter(Transform):
    """Casts samples, and applies scale and offset where that is asked for.

    One input `in` of real numbers of any shape, one output `out` of the same shape, channels and units.
    Without ``physical`` the raw numbers are cast, and scale and offset go along. With it the output is
    ``raw * scale + offset``, computed in float64 and rounded to the output's data type; its scale is 1 and
    its offset 0.

    No value becomes another one silently: what may not fit is refused at initialize, unless `casting` allows
    it, and a value that does not fit then is a fault that names the sample and the channel.
    """

    settings_type = StreamConverterSettings
    settings: StreamConverterSettings
    at_gap = "hold"

    def __init__(self, settings: StreamConverterSettings) -> None:
        super().__init__(settings)
        self._spec = self._made = StreamSpec()

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Check that the cast is allowed."""
        spec = inputs["in"]
        source, target = spec.np_dtype, self._target(spec)
        if source.kind not in REAL or spec.streamtype == "event":
            raise StreamMismatch(
                "StreamConverter takes samples that are real numbers; "
                f"came: {spec.streamtype} of {source}, shape {spec.shape}"
            )
        if not self.settings.physical and not fits_exactly(source, target):
            if target.kind == "b":
                raise StreamMismatch(f"StreamConverter does not turn {source} into bool: compare instead")
            if self.settings.casting == "safe":
                raise StreamMismatch(
                    f"not every {source} of the input is a {target}, which casting='safe' wants: "
                    "ask for casting='round' or 'saturate', or for another dtype"
                )
        changes = {"scale": 1.0, "offset": 0.0} if self.settings.physical else {}
        # Not by the dtype's name: that of bytes swapped says nothing of their order.
        self._spec, self._made = spec, spec.replace(dtype=target.str, **changes)
        return {"out": self._made}

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Convert one chunk."""
        data, target, casting = chunk.data, self._made.np_dtype, self.settings.casting
        if self.settings.physical:
            data = self._physical(chunk)
            casting = "round" if casting == "safe" else casting
        try:
            return cast(data, target, casting, self.settings.nan)
        except NoFit as error:
            raise StreamMismatch(self._about(error, chunk)) from None

    def _target(self, spec: StreamSpec) -> np.dtype[Any]:
        given = self.settings.dtype or ("float64" if self.settings.physical else spec.np_dtype)
        order = self.settings.byte_order
        return np.dtype(given).newbyteorder(order) if order else np.dtype(given)

    def _physical(self, chunk: Chunk) -> npt.NDArray[np.float64]:
        try:
            with np.errstate(over="raise"):
                return self._spec.to_physical(chunk.data)
        except FloatingPointError:
            raise StreamMismatch(
                f"samples [{chunk.start}, {chunk.stop}) leave the range of float64 with scale "
                f"{self._spec.scale} and offset {self._spec.offset}"
            ) from None

    def _about(self, error: NoFit, chunk: Chunk) -> str:
        row, *place = error.place
        where = f" at {place}" if place else ""
        if len(self._spec.shape) == 2:
            where = f", channel {self._spec.names[place[0]]!r}"
        remedy = "give nan=, what it becomes" if error.value != error.value else "ask for casting='saturate'"
        return f"sample {chunk.start + row}{where}: {error}; {remedy}, or another dtype"
