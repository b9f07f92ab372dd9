"""The arithmetic of a digital oscilloscope: bits as lines that are low or high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.history import TraceHistory
from pyacq_lab.viewing.samples import spans
from pyacq_lab.viewing.scene import Axis, Bands, Control, Element, Lines, Plot, Scene, number
from pyacq_lab.viewing.spectrogram import TIME_LABEL

_COLUMNS = 1000
_MOST_LINES = 64


class DigitalScene(Scene):
    """Lines of a digital stream, from the top.

    Parameters
    ----------
    spec : StreamSpec
        Integers of which each bit is a line, or bool.
    bits : sequence of int, optional
        Which bits of each channel, 0 is the lowest; by default the lowest eight at most.
    window : float
        Seconds shown.
    """

    def __init__(self, spec: StreamSpec, bits: Sequence[int] | None = None, window: float = 5.0) -> None:
        self._bits = None if bits is None else [int(bit) for bit in bits]
        self._window = number("window", window, 0.001, 3600, "s")
        self.renew(0, spec)

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with another stream."""
        dtype = spec.np_dtype
        if dtype.kind not in "biu" or len(spec.shape) > 2:
            raise StreamMismatch(
                f"a {spec.streamtype} of {dtype}, shape {spec.shape}, has no lines: wanted bool or "
                "integers of shape (-1, n_channels)"
            )
        width = 1 if dtype.kind == "b" else 8 * dtype.itemsize
        if self._bits is not None and not all(0 <= bit < width for bit in self._bits):
            raise StreamMismatch(f"bits {self._bits}: samples of {dtype} have bits 0 to {width - 1}")
        bits = self._bits or list(range(min(width, 8)))
        self._spec = spec
        self._lines = [(c, b) for c in range(spec.n_channels) for b in bits][:_MOST_LINES]
        names = [spec.names[c] if width == 1 else f"{spec.names[c]}.{b}" for c, b in self._lines]
        self._names = names
        self._bit_spec = StreamSpec.of(
            np.uint8, shape=(-1, len(names)), sample_rate=spec.sample_rate, channel_names=tuple(names)
        )
        self._begin()
        self.shape += 1

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take samples."""
        if isinstance(item, Chunk):
            data = item.data.reshape(len(item), -1)
            columns = [(data[:, c].astype(np.int64) >> b) & 1 for c, b in self._lines]
            item = replace(item, data=np.stack(columns, axis=1).astype(np.uint8), guard=None)
        self._history.add(item)
        self.changed += 1

    def elements(self, now_ns: int) -> list[Element]:
        """One plot with all lines."""
        history, n = self._history, len(self._names)
        extremes, flags = history.read(history.start, history.stop)
        seconds = history.bin_size / self._spec.sample_rate
        left = (np.arange(len(flags)) - len(flags)) * seconds
        lines = [self._steps(left, seconds, extremes[:, i], n - 1.0 - i) for i in range(n)]
        gaps = [(float(left[a]), float(left[b - 1]) + seconds) for a, b in spans(flags != 0)]
        ticks = tuple((n - 1.0 - i, name) for i, name in enumerate(self._names))
        return [
            Plot(
                "digital",
                Axis(-self._window, 0.0, TIME_LABEL),
                Axis(-0.6, n - 0.4, ticks=ticks),
                (Bands([a for a, _ in gaps], [b for _, b in gaps]),
                 Lines([x for x, _ in lines], [y for _, y in lines], list(range(n)), width=1.6)),
                f"last {self._window:g} s",
                min(640, 30 + 34 * n),
            )
        ]  # fmt: skip

    def controls(self) -> list[Control]:
        """Seconds shown."""
        return [Control("window", "Window (s)", "number", self._window, title="Seconds shown")]

    def set(self, name: str, value: Any) -> None:
        """Set a control; see `controls`."""
        if name != "window":
            super().set(name, value)
        self._window = number("window", value, 0.001, 3600, "s")
        self._begin()

    def _begin(self) -> None:
        bin_size = max(1, math.ceil(self._window * self._spec.sample_rate / _COLUMNS))
        n_bins = math.ceil(self._window * self._spec.sample_rate / bin_size)
        self._history = TraceHistory(self._bit_spec, bin_size, n_bins)
        self.changed += 1

    def _steps(
        self, left: npt.NDArray[Any], width: float, extremes: npt.NDArray[Any], base: float
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """One line: flat where it stays, upright where it changes within a bin."""
        if not len(extremes):
            return left, left
        low, high = extremes[:, 0], extremes[:, 1]
        flat = low == high
        # Only where it changes are there points; NaN differs from everything, itself too.
        is_new = np.concatenate([[True], (low[1:] != low[:-1]) | ~flat[1:] | ~flat[:-1]])
        keep = np.flatnonzero(is_new)
        ends = np.append(keep[1:], len(low)) - 1
        # Within a bin that has both levels: from that of the bin before, over the other, to that of the next.
        before = np.concatenate([[0.0], np.where(flat[:-1], low[:-1], 0.0)])
        after = np.concatenate([np.where(flat[1:], low[1:], 0.0), [0.0]])
        first, last = np.where(flat, low, before)[keep], np.where(flat, low, after)[keep]
        middle = left[keep] + width / 2
        x = np.column_stack([left[keep], middle, middle, middle, left[ends] + width])
        y = np.column_stack([first, first, np.where(flat[keep], low[keep], 1 - first), last, last])
        y[np.isnan(low[keep])] = np.nan
        return x.reshape(-1), (base - 0.36 + 0.72 * y).reshape(-1)
