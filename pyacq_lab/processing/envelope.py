"""How strong a signal is at each moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import signal

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import physical_spec, require_signal
from pyacq_lab.processing.fir import Floats, Taps
from pyacq_lab.processing.mean import MovingMean, MovingMeanSettings


class EnvelopeSettings(Settings):
    """Settings of `Envelope`."""

    kind: Literal["rms", "rectified", "hilbert"] = setting(
        "rms",
        description="rms: root of the mean square; rectified: mean of the absolute values; hilbert: the "
        "magnitude of the analytic signal",
    )
    window: float = setting(
        0.1,
        gt=0,
        unit="s",
        description="over how long; hilbert: length of the filter, rounded to an odd number of samples",
    )


class Envelope(Transform):
    """Root mean square, mean absolute value, or Hilbert envelope of each channel, at each sample.

    One input `in`, one output `out` of float64 in the input's units (scale and offset are applied first), one
    sample for each that comes in, bit-identical however the stream is cut. A constant counts as strength
    with ``rms`` and ``rectified``: filter it out before.

    ``rms`` and ``rectified`` take the last ``window``, as `MovingMean` does. The Hilbert envelope is one for
    signals of a band, and true to a percent from about ``2 / window`` to half the sample rate less that. The
    group delay is in each case half the window less half a sample; it is added to the spec's.

    It starts afresh after a gap. NaN and infinities spoil the windows that contain them and no others.

    Examples
    --------
    >>> envelope = Envelope(EnvelopeSettings.checked(window=0.002))
    >>> spec = StreamSpec(shape=(-1, 1), sample_rate=1000.0, units="mV")
    >>> envelope.describe({"in": spec})["out"].units
    'mV'
    >>> from pyacq_lab.model.chunk import Chunk
    >>> envelope.process(Chunk(0, np.array([[3.0], [-3.0], [3.0]])), "in").tolist()
    [[3.0], [3.0], [3.0]]
    """

    settings_type = EnvelopeSettings
    settings: EnvelopeSettings
    at_gap = "reset"

    def __init__(self, settings: EnvelopeSettings) -> None:
        super().__init__(settings)
        self._spec = StreamSpec()
        self._mean = MovingMean(MovingMeanSettings.checked(window=settings.window))
        self._taps = Taps([1.0], 1)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Size the window for the input's sample rate."""
        self._spec = spec = require_signal(inputs["in"], "Envelope")
        made = self._mean.describe({"in": physical_spec(spec)})["out"]
        if self.settings.kind == "hilbert":
            half = max(1, round((self.settings.window * spec.sample_rate - 1) / 2))
            self._taps = Taps(hilbert_taps(half), spec.n_channels)
            made = physical_spec(spec, group_delay=spec.group_delay + half / spec.sample_rate)
        return {"out": made}

    def reset(self) -> None:
        """Begin with an empty window."""
        self._mean.reset()
        self._taps.reset()

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Strength at each sample of one chunk, shape (n_samples, n_channels)."""
        data = self._spec.to_physical(chunk.data)
        with np.errstate(invalid="ignore", over="ignore"):
            if self.settings.kind == "hilbert":
                shifted, reached = self._taps.run(data)
                half = len(self._taps) // 2
                return np.hypot(reached[half : half + len(data)], shifted)
            if self.settings.kind == "rectified":
                return self._mean.process(chunk.with_data(np.abs(data, out=data)), name)
            return np.sqrt(self._mean.process(chunk.with_data(np.square(data, out=data)), name))


def hilbert_taps(half: int) -> Floats:
    """Coefficients that shift each frequency by a quarter of its period, and by ``half`` samples in all."""
    k = np.arange(-half, half + 1)
    ideal = np.zeros(len(k))
    is_odd = k % 2 == 1
    ideal[is_odd] = 2 / (np.pi * k[is_odd])
    return ideal * np.asarray(signal.get_window("hamming", len(k), fftbins=False), np.float64)
