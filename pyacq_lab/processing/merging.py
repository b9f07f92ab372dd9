"""What several streams are together, where they can be brought together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.casting import REAL, fits_exactly


def require_channels(name: str, spec: StreamSpec) -> None:
    """Refuse an input that has no channels of real numbers at a steady rate. Raises StreamMismatch."""
    if spec.streamtype == "event":
        raise StreamMismatch(
            f"StreamAligner: input {name!r} is a stream of events, which come at no rate: "
            "wanted an analogsignal or digitalsignal"
        )
    if spec.streamtype in ("image", "video") or len(spec.shape) != 2 or spec.np_dtype.kind not in REAL:
        raise StreamMismatch(
            f"StreamAligner takes real numbers in channels, shape (-1, n_channels); input {name!r} is: "
            f"{spec.streamtype} of {spec.np_dtype}, shape {spec.shape}"
        )


def require_same(specs: Mapping[str, StreamSpec], field: str, remedy: str) -> None:
    """Refuse inputs that differ in a field of their specs. Raises StreamMismatch, which names both."""
    (first, wanted), *others = ((name, getattr(spec, field)) for name, spec in specs.items())
    for name, found in others:
        if found != wanted:
            raise StreamMismatch(
                f"StreamAligner: input {first!r} has {field} {wanted!r}, but input {name!r} has {found!r}: "
                f"{remedy}"
            )


def common_dtype(dtypes: Mapping[str, np.dtype[Any]]) -> np.dtype[Any]:
    """The data type that holds every value of all. Raises StreamMismatch where numpy's does not."""
    common = np.result_type(*dtypes.values()).newbyteorder("=")
    for name, dtype in dtypes.items():
        if not fits_exactly(dtype, common):
            together = ", ".join(f"{n}: {d}" for n, d in dtypes.items())
            raise StreamMismatch(
                f"StreamAligner: not every {dtype} of input {name!r} is a {common}, the type of all together "
                f"({together}): convert it first (StreamConverter)"
            )
    return common


def merged_names(specs: Mapping[str, StreamSpec]) -> tuple[str, ...]:
    """Channel names of all, each with its input's name before it where two would be the same."""
    plain = [name for spec in specs.values() for name in spec.names]
    if len(set(plain)) == len(plain):
        return tuple(plain)
    return tuple(f"{which}.{name}" for which, spec in specs.items() for name in spec.names)


def merged_scaling(specs: Mapping[str, StreamSpec]) -> dict[str, float | tuple[float, ...]]:
    """Scale and offset of all: one number where all have that one, else one for each channel."""
    merged: dict[str, float | tuple[float, ...]] = {}
    for field in ("scale", "offset"):
        each: list[float] = []
        for spec in specs.values():
            value: float | tuple[float, ...] = getattr(spec, field)
            each += value if isinstance(value, tuple) else [value] * spec.n_channels
        merged[field] = each[0] if len(set(each)) == 1 else tuple(each)
    return merged
