"""A filter without delay: once forward, and back again over what has come since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Placed, Transform
from pyacq_lab.model.settings import setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import offset_times, require_signal
from pyacq_lab.processing.holding import Holder
from pyacq_lab.processing.pending import Pending
from pyacq_lab.processing.sos import SosFilter
from pyacq_lab.processing.sos_design import Sections, SosFilterSettings, dc_gain, design

Floats = npt.NDArray[np.float64]

_LONGEST = 600.0
"""Seconds of overlap beyond which a filter is refused: it would hold too much back."""


class OverlapFiltfiltSettings(SosFilterSettings):
    """Settings of `OverlapFiltfilt`; those of the design are `SosFilter`'s."""

    overlap: float | None = setting(
        None,
        gt=0,
        unit="s",
        description="how far ahead of a sample the way back begins; None: as far as `tolerance` wants",
    )
    tolerance: float = setting(
        1e-6,
        gt=0,
        lt=1,
        description="largest error, as a share of the signal's range, for which the overlap is chosen",
    )
    block: float = setting(
        0.1,
        gt=0,
        unit="s",
        description="how much comes out at once: a longer one costs less, and is later",
    )


class OverlapFiltfilt(Transform):
    """Lowpass, highpass, bandpass, bandstop or notch filter of zero phase, as `scipy.signal.sosfiltfilt`.

    One input `in`, one output `out` of float64 in the input's units: a sample for each that comes in, at the
    same index, and no group delay is added. They come later by ``overlap + block`` at most; what is held back
    goes out at a gap and at the end. The gain is the square of the filter's.

    The way forward is exact. The way back over a block begins ``overlap`` after its end, as if the signal
    stayed from there on what it is there. So each sample differs from
    ``sosfiltfilt(sos, recording, axis=0, padtype=None)`` by `error_bound` times the range (largest less
    smallest) of the signal filtered forward, at most; without ``overlap``, it is chosen so that this bound is
    ``tolerance``. The last ``overlap`` before the end is exact, and so is the beginning.

    Blocks are counted from the start or the last gap: the result is bit-identical however the stream is cut.

    The settings of the design are live: at a change, what is held back comes out as it does at the end, and
    the other filter starts afresh.

    NaN and infinities are NaN in the output; for the samples around them the filter takes each channel's last
    finite value instead, as `SosFilter` does.

    Examples
    --------
    >>> filtfilt = OverlapFiltfilt(OverlapFiltfiltSettings.checked(high=40.0, order=2))
    >>> out = filtfilt.describe({"in": StreamSpec(sample_rate=1000.0)})["out"]
    >>> out.group_delay, round(filtfilt.overlap_samples, -1), filtfilt.error_bound() <= 1e-6
    (0.0, 80, True)
    """

    settings_type = OverlapFiltfiltSettings
    settings: OverlapFiltfiltSettings
    at_gap = "reset"

    def __init__(self, settings: OverlapFiltfiltSettings) -> None:
        super().__init__(settings)
        self._spec: StreamSpec | None = None
        self._made = StreamSpec()
        self._forward = SosFilter(settings)
        self._back = _WayBack(np.array([[1.0, 0, 0, 1, 0, 0]]), 1.0, settings)
        self._block = 1
        self._ready: list[Chunk] = []
        self._holder = Holder(1)
        self._waiting = Pending(1)
        self._bad = Pending(1, np.bool_)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Design the filter, and find how far the way back reaches."""
        spec = require_signal(inputs["in"], "OverlapFiltfilt")
        self._back = _WayBack(design(self.settings, spec.sample_rate), spec.sample_rate, self.settings)
        self._forward = SosFilter(self.settings)
        self._forward.describe(inputs)
        self._block = max(1, round(self.settings.block * spec.sample_rate))
        self._holder = Holder(spec.n_channels)
        self._waiting = Pending(spec.n_channels)
        self._bad = Pending(spec.n_channels, np.bool_)
        self._ready = []
        self._spec, self._made = spec, self._described(spec, self._back)
        return {"out": self._made}

    def change(self, settings: OverlapFiltfiltSettings) -> None:
        """End with the filter that was, and start afresh with another."""
        if self._spec is not None:
            back = _WayBack(design(settings, self._spec.sample_rate), self._spec.sample_rate, settings)
            made = self._described(self._spec, back)
            if not np.allclose(made.offset, self._made.offset):
                raise ConfigurationError(
                    f"OverlapFiltfilt: the stream's offset would become {made.offset} instead of "
                    f"{self._made.offset}, which readers were told: stop and configure it"
                )
            self._ready += self._rest()
            self._back, self._forward = back, SosFilter(settings)
            self._forward.describe({"in": self._spec})
        super().change(settings)

    @property
    def overlap_samples(self) -> int:
        """How far ahead of a block the way back begins, samples."""
        return self._back.overlap

    def error_bound(self) -> float:
        """Largest error next to the whole recording, as a share of the forward-filtered signal's range."""
        return self._back.error_bound

    def reset(self) -> None:
        """Forget what is held back."""
        self._ready = []
        self._forward.reset()
        self._holder.reset()
        self._waiting.clear()
        self._bad.clear()

    def process(self, chunk: Chunk, name: str) -> Sequence[Chunk]:
        """Filter one chunk forward, and those blocks back of which enough has come."""
        if not len(chunk):
            return ()
        filtered = np.asarray(self._forward.process(chunk, name))
        held, bad = self._holder.fill(filtered)
        self._waiting.add(chunk.with_data(held), self._made.sample_rate)
        self._bad.add(chunk.with_data(bad), self._made.sample_rate)
        made, self._ready = self._ready, []
        while len(self._waiting) >= self._block + self.overlap_samples:
            made.append(self._next(self._block, self._block + self.overlap_samples))
        return made

    def gap(self, gap: Gap, name: str) -> Sequence[Placed]:
        """Give what was held back, and tell of the gap."""
        return [*self.finish(name), gap]

    def finish(self, name: str) -> Sequence[Chunk]:
        """Give what was held back: the way back over all of it begins at the last sample."""
        made = [*self._ready, *self._rest()]
        self.reset()
        return made

    @staticmethod
    def _described(spec: StreamSpec, back: _WayBack) -> StreamSpec:
        return spec.replace(dtype="<f8", offset=offset_times(spec, dc_gain(back.sos) ** 2))

    def _rest(self) -> list[Chunk]:
        """All that is held back, as at the end."""
        n = len(self._waiting)
        return [self._next(n, n)] if n else []

    def _next(self, n: int, reach: int) -> Chunk:
        """The next ``n`` samples, filtered back from ``reach`` samples on."""
        place = self._waiting.place()
        out = self._back.run(self._waiting.first(reach))[:n].copy()
        out[self._bad.first(n)] = np.nan
        self._waiting.drop(n)
        self._bad.drop(n)
        return place.with_data(out)


class _WayBack:
    """A filter that runs backward, and how far it must reach."""

    def __init__(self, sos: Sections, sample_rate: float, settings: OverlapFiltfiltSettings) -> None:
        self.sos = sos
        self._steady = signal.sosfilt_zi(sos)[:, :, np.newaxis]
        tails = tails_of(sos, round(_LONGEST * sample_rate))
        if settings.overlap is not None:
            self.overlap = max(1, round(settings.overlap * sample_rate))
        else:
            enough = np.flatnonzero(tails <= settings.tolerance)
            if not len(enough):
                raise ConfigurationError(
                    f"tolerance={settings.tolerance:g} wants more than {_LONGEST:g} s of overlap: give an "
                    "overlap, a larger tolerance or another filter"
                )
            self.overlap = max(1, int(enough[0]))
        self.error_bound = float(tails[self.overlap]) if self.overlap < len(tails) else 0.0

    def run(self, data: Floats) -> Floats:
        """Filter from the last sample to the first, as if the last one went on forever."""
        turned = data[::-1]
        return signal.sosfilt(self.sos, turned, axis=0, zi=self._steady * turned[0])[0][::-1]


def tails_of(sos: Sections, longest: int) -> Floats:
    """For each delay, the sum of the absolute impulse response from there on; as long as it matters."""
    n = 1024
    while True:
        pulse = np.zeros(min(n, longest))
        pulse[0] = 1.0
        response = np.abs(signal.sosfilt(sos, pulse))
        if n >= longest or response[-n // 8 :].max() < 1e-20 * response.max():
            return np.cumsum(response[::-1])[::-1]
        n *= 2
