"""A moving mean that neither drifts nor cares how its input is cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import require_signal


class MovingMeanSettings(Settings):
    """Settings of `MovingMean`."""

    window: float = setting(0.1, gt=0, unit="s", description="window; rounded to whole samples, at least one")


class MovingMean(Transform):
    """Mean over the last ``window`` seconds of each channel.

    One input `in`, one output `out` of float64 in the input's units, one sample for each that comes in.
    The group delay is exactly half a window less half a sample; it is added to the spec's. The first
    samples after a start or a gap, while the window fills, are means over those that there are.

    A running sum would gather rounding errors forever, and a cumulative one would lose digits. Here time
    is cut into blocks as long as the window, counted from the start: any window is then the end of one
    block and the beginning of the next, and its sum is one sum from the block's end plus one from its
    beginning. Each sample costs a few additions whatever the window, each result has the error of one
    window's sum, and it is bit-identical however the stream is cut into chunks.

    NaN and infinities spoil the windows that contain them and no others.
    """

    settings_type = MovingMeanSettings
    settings: MovingMeanSettings
    at_gap = "reset"

    def __init__(self, settings: MovingMeanSettings) -> None:
        super().__init__(settings)
        self._allocate(1, 0)

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Size the window for the input's sample rate."""
        spec = require_signal(inputs["in"], "MovingMean")
        n = max(1, round(self.settings.window * spec.sample_rate))
        self._allocate(n, spec.n_channels)
        delay = spec.group_delay + (n - 1) / 2 / spec.sample_rate
        return {"out": spec.replace(dtype="<f8", group_delay=delay)}

    def reset(self) -> None:
        """Begin with an empty window."""
        self._count = 0
        self._ends[:] = 0.0
        self._sum[:] = 0.0

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Mean at each sample of one chunk, shape (n_samples, n_channels)."""
        data = np.asarray(chunk.data, dtype=np.float64)
        n = len(self._block)
        sums = np.empty_like(data)
        at = 0
        with np.errstate(invalid="ignore"):  # both infinities in one window make a NaN, as documented
            while at < len(data):
                offset = self._count % n
                n_blocks = (len(data) - at) // n
                # Windows of a few samples are worth taking many at a time; others come block by block.
                if offset == 0 and n_blocks > 1:
                    stop = at + n_blocks * n
                    self._whole_blocks(data[at:stop], sums[at:stop])
                else:
                    stop = min(at + n - offset, len(data))
                    self._within_block(data[at:stop], sums[at:stop], offset)
                self._count += stop - at
                at = stop
        before = self._count - len(data)
        sums /= np.minimum(np.arange(before + 1, self._count + 1), n)[:, np.newaxis]
        return sums

    def _allocate(self, n: int, n_channels: int) -> None:
        self._block = np.zeros((n, n_channels))  # the samples of the block that fills
        self._ends = np.zeros((n + 1, n_channels))  # sums from each place to the end of the block before it
        self._sum = np.zeros(n_channels)  # sum of the block that fills
        self.reset()

    def _within_block(
        self, data: npt.NDArray[np.float64], sums: npt.NDArray[np.float64], offset: int
    ) -> None:
        """Put the sums of windows that end in one block into ``sums``."""
        stop = offset + len(data)
        self._block[offset:stop] = data
        beginnings = data.copy()
        if offset:
            beginnings[0] += self._sum  # goes on as one accumulation over the whole block would
        np.add.accumulate(beginnings, axis=0, out=beginnings)
        np.add(self._ends[offset + 1 : stop + 1], beginnings, out=sums)
        self._sum[:] = beginnings[-1]
        if stop == len(self._block):
            self._ends[:-1] = np.add.accumulate(self._block[::-1], axis=0)[::-1]

    def _whole_blocks(self, data: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]) -> None:
        """Do the same for many whole blocks at once."""
        blocks = data.reshape(-1, *self._block.shape)
        ends = np.zeros((len(blocks) + 1, *self._ends.shape))
        ends[0] = self._ends
        ends[1:, :-1] = np.add.accumulate(blocks[:, ::-1], axis=1)[:, ::-1]
        beginnings = np.add.accumulate(blocks, axis=1)
        np.add(ends[:-1, 1:], beginnings, out=sums.reshape(blocks.shape))
        self._ends = ends[-1].copy()
