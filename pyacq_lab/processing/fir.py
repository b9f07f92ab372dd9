"""A filter of finite length: the same delay at every frequency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import FiniteFloat, model_validator
from scipy import ndimage, signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import offset_times, require_corners, require_signal

Floats = npt.NDArray[np.float64]

_NEEDS = {
    "lowpass": {"high"},
    "highpass": {"low"},
    "bandpass": {"low", "high"},
    "bandstop": {"low", "high"},
    "taps": {"taps"},
}


class FirFilterSettings(Settings):
    """Settings of `FirFilter`."""

    kind: Literal["lowpass", "highpass", "bandpass", "bandstop", "taps"] = setting(
        "lowpass", description="what passes; 'taps' takes the coefficients given"
    )
    low: float | None = setting(
        None, gt=0, unit="Hz", description="lower corner, at half amplitude (highpass, bandpass, bandstop)"
    )
    high: float | None = setting(
        None, gt=0, unit="Hz", description="upper corner, at half amplitude (lowpass, bandpass, bandstop)"
    )
    n_taps: int = setting(
        101, ge=3, le=100_001, description="length; odd, so that the delay is one of whole samples"
    )
    window: Literal["hamming", "hann", "blackman", "boxcar"] = setting(
        "hamming", description="window of the design: how much the stopband damps, and how wide the slope is"
    )
    taps: tuple[FiniteFloat, ...] | None = setting(
        None,
        min_length=1,
        description="coefficients, designed for the sample rate; that of the newest sample first",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for name in ("low", "high", "taps"):
            given = getattr(self, name) is not None
            if given != (name in _NEEDS[self.kind]):
                raise ValueError(f"kind='{self.kind}' {'does not take' if given else 'needs'} {name}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low={self.low} Hz must lie below high={self.high} Hz")
        if self.n_taps % 2 == 0:
            raise ValueError(f"n_taps={self.n_taps} is even: wanted an odd length")
        return self


class Taps:
    """Applies coefficients to a stream in pieces, and remembers what they still reach.

    It starts as if each channel's first value had been there forever. Each result is the same sum in the
    same order wherever the stream is cut, which the ways by FFT or matrix product do not give.
    """

    def __init__(self, taps: npt.ArrayLike, n_channels: int) -> None:
        self.taps: Floats = np.array(taps, dtype=np.float64)
        self._reversed = self.taps[::-1].copy()
        self._past: Floats = np.empty((len(self.taps) - 1, n_channels))
        self._started = False

    def __len__(self) -> int:
        return len(self.taps)

    def reset(self) -> None:
        """Start afresh."""
        self._started = False

    def run(self, data: Floats) -> tuple[Floats, Floats]:
        """Filter one piece, shape (n, n_channels); also gives all that was needed for it, the past before it.

        Where no sample has come yet, both are empty.
        """
        if len(data) and not self._started:
            self._past[:] = data[0]
            self._started = True
        n_past = len(self._past)
        reached = np.concatenate([self._past, data])
        if not len(data):
            return data.copy(), reached
        # The origin puts each result at its newest sample; before it lies the past, and no edge.
        origin = (len(self._reversed) - 1) // 2
        out = ndimage.correlate1d(reached, self._reversed, axis=0, mode="constant", origin=origin)
        self._past = reached[len(data) :].copy()
        return out[n_past:].copy(), reached


def design(settings: FirFilterSettings, sample_rate: float) -> Floats:
    """Coefficients for a sample rate. Raises ConfigurationError where a corner is too high."""
    if settings.taps is not None:
        return np.array(settings.taps)
    corners = require_corners((settings.low, settings.high), sample_rate)
    passed: Any = settings.kind  # scipy's annotations know of bool alone
    made = signal.firwin(settings.n_taps, corners, pass_zero=passed, window=settings.window, fs=sample_rate)
    return np.asarray(made, np.float64)


def delay_of(taps: Floats) -> float:
    """Group delay, samples: half the length where the coefficients are symmetric, else that at 0 Hz.

    Of coefficients that are not symmetric and stop a constant it is not defined, and given as 0.
    """
    if np.array_equal(taps, taps[::-1]) or np.array_equal(taps, -taps[::-1]):
        return (len(taps) - 1) / 2
    total = taps.sum()
    if abs(total) < 1e-12 * np.abs(taps).sum():
        return 0.0
    return float(taps @ np.arange(len(taps)) / total)


class FirFilter(Transform):
    """Lowpass, highpass, bandpass or bandstop filter of finite length, or one of your own coefficients.

    One input `in`, one output `out` of float64 in the input's units, one sample for each that comes in, and
    bit-identical however the stream is cut. The design is that of `scipy.signal.firwin`: linear phase, so
    that the group delay, ``(n_taps - 1) / 2`` samples, is the same at all frequencies. It is added to the
    spec's.

    The filter starts as if each channel's first value had been there forever, and afresh after a gap. NaN
    and infinities spoil the ``n_taps`` results that they are part of, and no others.

    The cost grows with ``n_taps``: at 64 channels and 30 kHz, some hundred are easy and a thousand are not
    (docs/benchmarks/nodes.md); resample first, or take `SosFilter`.

    Examples
    --------
    >>> fir = FirFilter(FirFilterSettings.checked(high=40.0, n_taps=51))
    >>> fir.describe({"in": StreamSpec(shape=(-1, 1), sample_rate=1000.0)})["out"].group_delay
    0.025
    >>> from pyacq_lab.model.chunk import Chunk
    >>> fir.process(Chunk(0, np.full((3, 1), 7.0)), "in").round(6).tolist()
    [[7.0], [7.0], [7.0]]
    """

    settings_type = FirFilterSettings
    settings: FirFilterSettings
    at_gap = "reset"

    def __init__(self, settings: FirFilterSettings) -> None:
        super().__init__(settings)
        self._taps = Taps([1.0], 1)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Design the filter for the input's sample rate."""
        spec = require_signal(inputs["in"], "FirFilter")
        taps = design(self.settings, spec.sample_rate)
        if not np.any(taps):
            raise ConfigurationError("taps are all 0: nothing would come out")
        self._taps = Taps(taps, spec.n_channels)
        delay = spec.group_delay + delay_of(taps) / spec.sample_rate
        offset = offset_times(spec, float(taps.sum()))
        return {"out": spec.replace(dtype="<f8", offset=offset, group_delay=delay)}

    def reset(self) -> None:
        """Start afresh."""
        self._taps.reset()

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Filter one chunk, shape (n_samples, n_channels)."""
        return self._taps.run(np.asarray(chunk.data, dtype=np.float64))[0]
