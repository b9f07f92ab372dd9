"""Numbers of one data type as those of another, and never another number by accident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import StreamMismatch

Casting = Literal["safe", "round", "saturate"]
"""What may happen to a value: nothing; rounding; rounding, and the nearest limit if it lies beyond."""

Array = npt.NDArray[Any]
Bad = npt.NDArray[np.bool_]

REAL = "biuf"
"""Kinds of `numpy.dtype` that are real numbers."""


def fits_exactly(source: np.dtype[Any], target: np.dtype[Any]) -> bool:
    """Whether every value of a real data type is one of another; numpy's "safe" lets int64 be float64."""
    if source.kind == "b" or target.kind == "b":
        return source.kind == "b"
    if source.kind == "f":
        return target.kind == "f" and source.itemsize <= target.itemsize
    limits = np.iinfo(source)
    if target.kind == "f":
        return limits.bits - (source.kind == "i") <= np.finfo(target).nmant + 1
    return np.iinfo(target).min <= limits.min and limits.max <= np.iinfo(target).max


class NoFit(StreamMismatch):
    """A value does not fit the data type.

    Attributes
    ----------
    place : tuple of int
        Where it is in the array.
    """

    def __init__(self, value: Any, target: np.dtype[Any], place: Sequence[int]) -> None:
        super().__init__(f"{value!r} does not fit {target}")
        self.value, self.target, self.place = value, target, tuple(place)


def cast(data: Array, target: np.dtype[Any], casting: Casting, nan: int | None = None) -> Array:
    """Values in another data type: the same, or the nearest (ties to even) where ``casting`` allows it.

    Parameters
    ----------
    data : ndarray
        Real numbers.
    target : numpy.dtype
        Real, too.
    casting : {'safe', 'round', 'saturate'}
        See `Casting`. ``safe`` wants a target that `fits_exactly`.
    nan : int, optional
        What NaN becomes in an integer type.

    Raises
    ------
    NoFit
        A value lies beyond the limits of the target (not with ``saturate``), or is NaN for which there is
        no integer.
    """
    if fits_exactly(data.dtype, target):
        return data.astype(target, copy=False)
    if casting == "safe" or target.kind == "b":
        raise StreamMismatch(f"not every {data.dtype} is a {target}: cast with rounding")
    if target.kind == "f":
        return _to_float(data, target, casting)
    if data.dtype.kind == "f":
        return _float_to_integer(data, target, casting, nan)
    own, limits = np.iinfo(data.dtype), np.iinfo(target)
    low, high = max(own.min, limits.min), min(own.max, limits.max)
    if casting == "round":
        _refuse(data, target, (data < low) | (data > high))
    return np.clip(data, low, high).astype(target)


def _to_float(data: Array, target: np.dtype[Any], casting: Casting) -> Array:
    with np.errstate(over="ignore"):  # found below
        out = data.astype(target)
    beyond = np.isinf(out) & np.isfinite(data)
    if casting == "round":
        _refuse(data, target, beyond)
    elif beyond.any():
        out[beyond] = np.copysign(np.finfo(target).max, data[beyond])
    return out


def _float_to_integer(data: Array, target: np.dtype[Any], casting: Casting, nan: int | None) -> Array:
    limits = np.iinfo(target)
    whole = np.rint(data.astype(np.result_type(data.dtype, np.float64), copy=False))
    low = whole < limits.min
    high = whole >= float(limits.max + 1)  # a power of two: exact, which the limit itself need not be
    unknown = np.isnan(whole)
    if nan is None:
        _refuse(data, target, unknown)
    if casting == "round":
        _refuse(data, target, low | high)
    out = np.where(low | high | unknown, 0.0, whole).astype(target)
    for where, value in ((low, limits.min), (high, limits.max), (unknown, nan)):
        if where.any():
            out[where] = value
    return out


def _refuse(data: Array, target: np.dtype[Any], bad: Bad) -> None:
    if bad.any():
        place = np.argwhere(bad)[0].tolist()
        raise NoFit(data[tuple(place)].item(), target, place)
