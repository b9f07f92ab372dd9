"""The last finite value of each channel, in the place of those that are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Holder:
    """Puts each channel's last finite value where it is not finite; 0 before the first one.

    What it gives does not depend on how the stream is cut.
    """

    def __init__(self, n_channels: int) -> None:
        self._last: Floats = np.zeros(n_channels)

    def reset(self) -> None:
        """Forget the last values."""
        self._last[:] = 0.0

    def fill(self, data: npt.NDArray[Any]) -> tuple[Floats, Mask]:
        """Finite values for all samples, shape (n_samples, n_channels), and where they are made up."""
        bad = ~np.isfinite(data)
        if bad.any():
            last = np.where(bad, -1, np.arange(len(data))[:, np.newaxis])
            np.maximum.accumulate(last, axis=0, out=last)
            data = np.where(last < 0, self._last, np.take_along_axis(data, np.maximum(last, 0), axis=0))
        if len(data):
            self._last = data[-1].copy()
        return data, bad
