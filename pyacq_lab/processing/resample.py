"""The same signal at another sample rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import require_signal
from pyacq_lab.processing.holding import Holder
from pyacq_lab.processing.spans import NS_PER_S, empty_at

Floats = npt.NDArray[np.float64]

_LARGEST = 100_000
_QUALITY = {"low": "LQ", "medium": "MQ", "high": "HQ", "very high": "VHQ"}


class ResampleSettings(Settings):
    """Settings of `Resample`."""

    sample_rate: float = setting(gt=0, unit="Hz", description="rate of the output")
    quality: Literal["low", "medium", "high", "very high"] = setting(
        "high",
        description="of soxr's filter: low and medium are 16 bits exact, high 20 and very high 28; all keep "
        "the band up to some 80 to 95 % of half the lower rate",
    )


class Resample(Transform):
    """Brings a signal to another sample rate, with the filter against aliases that this needs (soxr).

    One input `in`, one output `out` of float64 in the input's units, with scale and offset as they are.
    Sample 0 of both is of the same moment, and so ``k / sample_rate`` is the same time in both; the filter is
    of linear phase, and no group delay is added. Samples come some filter lengths later; what is held back
    goes out at a gap and at the end. The result is bit-identical however the stream is cut.

    It begins as if each channel's first value had been there forever, ends as if the last one stayed, and
    starts afresh after a gap. Samples come for those times only for which the input has some on both sides.
    NaN and infinities: the filter takes each channel's last finite value (0 before the first) instead, and
    the output is NaN where the input's nearest sample was not finite.

    The two rates must be as two whole numbers up to 100000. Wants the extra ``pyacq_lab[resample]``.

    Examples
    --------
    >>> resample = Resample(ResampleSettings.checked(sample_rate=250.0))
    >>> resample.describe({"in": StreamSpec(sample_rate=1000.0)})["out"].sample_rate
    250.0
    >>> first = resample.process(Chunk(0, np.full((1000, 1), 7.0)), "in")
    >>> last = resample.finish("in")
    >>> sum(len(chunk) for chunk in [*first, *last]), last[-1].data[-1].tolist()
    (250, [7.0])
    """

    settings_type = ResampleSettings
    settings: ResampleSettings
    at_gap = "reset"

    def __init__(self, settings: ResampleSettings) -> None:
        super().__init__(settings)
        self._spec = self._made = StreamSpec()
        self._many, self._few = 1, 1  # so many samples in are so many out
        self._filter: Any = None
        self._holder = Holder(1)
        self._clear()

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Make the filter for both rates."""
        spec = require_signal(inputs["in"], "Resample")
        soxr = import_optional("soxr", "Resample", "soxr", "resample")
        rate = self.settings.sample_rate
        ratio = Fraction(spec.sample_rate / rate).limit_denominator(_LARGEST)
        if abs(float(ratio) * rate / spec.sample_rate - 1) > 1e-12 or not 0 < ratio.numerator <= _LARGEST:
            raise ConfigurationError(
                f"sample_rate={rate:g} Hz from {spec.sample_rate:g} Hz: wanted rates that are to each other "
                f"as two whole numbers up to {_LARGEST}"
            )
        self._many, self._few = ratio.numerator, ratio.denominator
        quality = _QUALITY[self.settings.quality]
        self._filter = soxr.ResampleStream(
            self._many, self._few, spec.n_channels, dtype="float64", quality=quality
        )
        self._spec, self._made = spec, spec.replace(dtype="<f8", sample_rate=rate, buffer_size=0)
        self._holder = Holder(spec.n_channels)
        self.reset()
        return {"out": self._made}

    def reset(self) -> None:
        """Start afresh."""
        if self._filter is not None:
            self._filter.clear()
        self._clear()

    def process(self, chunk: Chunk, name: str) -> Sequence[Chunk]:
        """Take one chunk; give what is complete by now."""
        if not len(chunk):
            return ()
        held, bad = self._holder.fill(np.asarray(chunk.data, dtype=np.float64))
        before: list[Floats] = []
        if not self._started:
            before = [self._begin(chunk, held[0])]
        self._last = held[-1] - self._level
        self._note(chunk, bad)
        data = np.concatenate([*before, held - self._level])
        return self._given(self._filter.resample_chunk(data))

    def gap(self, gap: Gap, name: str) -> Sequence[Chunk]:
        """Give what was held back, and tell of the gap."""
        made = list(self.finish(name))
        return [*made, empty_at(math.ceil(gap.stop * self._few / self._many), self._made, gap.epoch)]

    def finish(self, name: str) -> Sequence[Chunk]:
        """Give what was held back, as if each channel stayed where it is."""
        made: list[Chunk] = []
        if self._started:
            lag = math.ceil((self._filter.delay() + 2) * self._many / self._few)
            tail = np.tile(self._last, (lag, 1))
            made += self._given(self._filter.resample_chunk(tail))
            made += self._given(self._filter.resample_chunk(tail[:0], last=True))
        self.reset()
        return made

    def _clear(self) -> None:
        self._started = False
        self._holder.reset()
        self._level: Floats = np.zeros(1)
        self._last: Floats = np.zeros(1)
        self._next = self._limit = self._skip = 0
        self._spoiled: list[tuple[int, npt.NDArray[np.bool_]]] = []
        self._place = Chunk(0, self._level)

    def _begin(self, chunk: Chunk, first: Floats) -> Floats:
        """What comes before the first sample: none but zeros, up to where both rates have a sample."""
        self._started = True
        # The filter begins from 0: what each channel has at first is taken off, and added again.
        self._level = first.copy()
        n_before = chunk.start % self._many
        self._next = (chunk.start - n_before) // self._many * self._few
        self._skip = -(-chunk.start * self._few // self._many) - self._next  # of times before the first
        return np.zeros((n_before, len(first)))

    def _note(self, chunk: Chunk, bad: npt.NDArray[np.bool_]) -> None:
        self._place = chunk.with_data(chunk.data[:0])
        # The last output whose time is not after the last sample's.
        self._limit = (chunk.stop - 1) * self._few // self._many + 1
        if bad.any():
            self._spoiled.append((chunk.start, bad))

    def _given(self, data: Floats) -> list[Chunk]:
        start, self._next = self._next, self._next + len(data)
        skip, self._skip = min(self._skip, len(data)), max(0, self._skip - len(data))
        first, stop = start + skip, min(self._next, self._limit)
        if stop <= first:
            return []
        out = data[skip : stop - start] + self._level
        self._spoil(out, first)
        since = (first * self._many / self._few - self._place.start) * NS_PER_S / self._spec.sample_rate
        time_ns = self._place.time_ns + round(since)
        return [Chunk(first, out, time_ns, self._place.uncertainty_ns, self._place.epoch)]

    def _spoil(self, out: Floats, first: int) -> None:
        """Put NaN where the nearest sample of the input was not finite."""
        if not self._spoiled:
            return
        k = np.arange(first, first + len(out))
        nearest = (2 * k * self._many + self._few) // (2 * self._few)
        for begin, bad in self._spoiled:
            inside = (nearest >= begin) & (nearest < begin + len(bad))
            rows = np.flatnonzero(inside)
            out[rows] = np.where(bad[nearest[rows] - begin], np.nan, out[rows])
        self._spoiled = [(begin, bad) for begin, bad in self._spoiled if begin + len(bad) > nearest[-1]]
