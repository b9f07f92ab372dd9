"""What users give as samples, before anything is made of it."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.stream import StreamSpec

MOST_INDEX = 2**63 - 2**32

Filter = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


def filtered(function: Filter, data: npt.NDArray[Any], whose: str) -> npt.NDArray[Any]:
    """What a user's filter makes of samples; raises StreamMismatch where those are not as many."""
    given = data.view()
    given.flags.writeable = False  # they are somebody else's, too
    made = function(given)
    if not isinstance(made, np.ndarray) or not made.ndim or len(made) != len(data):  # pyright: ignore[reportUnnecessaryIsInstance]
        came = f"an array {list(made.shape)}" if isinstance(made, np.ndarray) else repr(made)  # pyright: ignore[reportUnnecessaryIsInstance]
        raise StreamMismatch(f"a filter of {whose} made {came} of {len(data)} samples; wanted as many")
    return made


def fitting(array: npt.NDArray[Any], spec: StreamSpec, whose: str) -> npt.NDArray[Any]:
    """Samples in the stream's dtype: no number becomes another one, but for what floats are rounded by.

    Raises
    ------
    StreamMismatch
        They have another shape or kind, or a value that the dtype does not have.
    """
    dtype = spec.np_dtype
    came = f"{array.dtype}{list(array.shape)}"
    refusal = f"{whose} was given samples {came}, but its stream is {dtype}{list(spec.shape)}"
    if not array.ndim or array.shape[1:] != spec.sample_shape:
        raise StreamMismatch(refusal)
    rounds = array.dtype.kind in "iu" and array.dtype.itemsize == 8 and dtype.kind in "fc"  # safe to numpy
    if not rounds and np.can_cast(array.dtype, dtype, "safe") and array.dtype.names == dtype.names:
        return array
    if not len(array):
        return np.empty((0, *spec.sample_shape), dtype)
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if limits.min <= int(array.min()) <= int(array.max()) <= limits.max:
            return array.astype(dtype)
        raise StreamMismatch(f"{refusal}: {int(array.min())} to {int(array.max())} do not fit")
    if array.dtype.kind in "iu" and dtype.kind in "fc":
        with np.errstate(over="ignore"):
            cast = array.astype(dtype)
        if _same_numbers(array, cast):
            return cast
        raise StreamMismatch(f"{refusal}: it has whole numbers that {dtype} does not have")
    if array.dtype.kind in "fc" and np.can_cast(array.dtype, dtype, "same_kind"):
        with np.errstate(over="ignore"):
            cast = array.astype(dtype)
        if np.array_equal(np.isinf(cast), np.isinf(array)):
            return cast
        raise StreamMismatch(f"{refusal}: it has values beyond those of {dtype}")
    raise StreamMismatch(refusal)


def _same_numbers(whole: npt.NDArray[Any], floats: npt.NDArray[Any]) -> bool:
    """Whether no whole number was rounded on becoming a float."""
    most = 2 ** (np.finfo(floats.dtype).nmant + 1)  # up to here there is a float for each
    if -most <= int(whole.min()) <= int(whole.max()) <= most:
        return True
    real = np.real(floats)
    return bool(np.isfinite(real).all()) and [int(x) for x in real.ravel()] == whole.ravel().tolist()


def checked_index(first: int) -> int:
    """Index at which an epoch can begin; raises ConfigurationError where it is none."""
    if not isinstance(first, int | np.integer) or not 0 <= first < MOST_INDEX:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"first index {first!r}: wanted a whole number from 0 to 2**63")
    return int(first)


def checked_place(
    index: int | None, lost: int, time_ns: int | None, uncertainty_ns: int, reason: str
) -> tuple[int | None, int, int | None, int]:
    """Where and when a chunk belongs, in plain numbers; raises ConfigurationError where it makes no sense."""
    if not isinstance(reason, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"reason={reason!r}: wanted a word that says why samples were lost")
    if whole("lost", lost) < 0 or (lost and index is not None):
        raise ConfigurationError(
            f"index={index!r}, lost={lost!r}: wanted one of them, and a number of samples, 0 or more, as lost"
        )
    return (
        None if index is None else whole("index", index),
        whole("lost", lost),
        None if time_ns is None else whole("time_ns", time_ns),
        whole("uncertainty_ns", uncertainty_ns),
    )


def whole(field: str, value: Any) -> int:
    """Plain whole number; raises ConfigurationError, by the ``field``'s name, where it is none."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or not -(2**63) <= number < 2**63:
        raise ConfigurationError(f"{field}={value!r}: wanted a whole number of 64 bits")
    return number


def deadline_of(timeout: float | None) -> float | None:
    """When a wait is over, by the monotonic clock; None: never. Raises ConfigurationError for nonsense."""
    return None if timeout is None else time.monotonic() + checked_timeout(timeout)


def checked_timeout(timeout: float) -> float:
    """Seconds to wait; raises ConfigurationError where they are none."""
    if not isinstance(timeout, int | float | np.number) or math.isnan(timeout):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"timeout={timeout!r}: wanted seconds, or None where one can wait for good")
    return float(timeout)


def checked_name(name: str) -> str:
    """Name of an end of a stream; raises ConfigurationError where it is none."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name!r} came as the name of a stream; wanted text")
    return name
