"""What transforms of signals ask of their input, and what becomes of its description."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.stream import StreamSpec


def require_signal(spec: StreamSpec, who: str) -> StreamSpec:
    """Give the spec back if it is one of real numbers in channels.

    Raises
    ------
    StreamMismatch
        The samples are complex, structured, pictures, or not of an analog signal.
    """
    if spec.streamtype != "analogsignal" or len(spec.shape) != 2 or spec.np_dtype.kind not in "iuf":
        raise StreamMismatch(
            f"{who} takes an analogsignal of real numbers, shape (-1, n_channels); "
            f"came: {spec.streamtype} of {spec.np_dtype}, shape {spec.shape}"
        )
    return spec


def require_corners(corners: Iterable[float | None], sample_rate: float) -> list[float]:
    """Corner frequencies that are given. Raises ConfigurationError where half the sample rate is reached."""
    given = [f for f in corners if f is not None]
    for corner in given:
        if corner >= sample_rate / 2:
            raise ConfigurationError(
                f"corner {corner} Hz at a sample rate of {sample_rate} Hz: "
                f"wanted less than {sample_rate / 2} Hz"
            )
    return given


def physical_spec(spec: StreamSpec, **changes: Any) -> StreamSpec:
    """Describe a stream of float64 in the units of another: its samples need no scale and offset any more."""
    return spec.replace(**{"dtype": "<f8", "scale": 1.0, "offset": 0.0, **changes})


def offset_times(spec: StreamSpec, gain: float) -> float | tuple[float, ...]:
    """Offset after a linear filter; a constant passes with ``gain``, the scale goes through as it is."""
    return tuple(o * gain for o in spec.offset) if isinstance(spec.offset, tuple) else spec.offset * gain
