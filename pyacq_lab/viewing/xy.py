"""The arithmetic of an XY view: one channel against another, the past fading."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.display import nice_ceiling
from pyacq_lab.viewing.samples import SampleHistory
from pyacq_lab.viewing.scene import Axis, Control, Element, Lines, Plot, Scene, channel_indices, number

_PIECES = 12
_MOST_POINTS = 4000


class XYScene(Scene):
    """Two channels of a stream against each other.

    Parameters
    ----------
    spec : StreamSpec
        Of a signal.
    x, y : str or int
        Channels, by name or number.
    window : float
        Seconds shown.
    equal : bool
        Whether both axes have the same ends.
    """

    def __init__(
        self, spec: StreamSpec, x: str | int = 0, y: str | int = 1, window: float = 2.0, equal: bool = True
    ) -> None:
        self._channels: Sequence[str | int] = (x, y)
        self._window = number("window", window, 0.001, 600, "s")
        self._equal = equal
        self.renew(0, spec)

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with another stream."""
        self._spec = spec
        self._history = self._room()
        self._limits: tuple[tuple[float, float], tuple[float, float]] | None = None
        self.shape += 1
        self.changed += 1

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take samples."""
        self._history.add(item)
        self.changed += 1

    def elements(self, now_ns: int) -> list[Element]:
        """One square plot."""
        data = self._history.last(self._history.size)
        every = max(1, -(-len(data) // _MOST_POINTS))
        data = data[(len(data) - 1) % every :: every] if len(data) else data
        cuts = np.linspace(0, len(data), _PIECES + 1).astype(int)
        pieces = [data[a : b + 1] for a, b in pairwise(cuts) if b > a]
        fade = [(k + 1) / len(pieces) for k in range(len(pieces))]
        trail = Lines([p[:, 0] for p in pieces], [p[:, 1] for p in pieces], [0] * len(pieces), fade, 1.6)
        head = self._cross(data[-1]) if len(data) and np.isfinite(data[-1]).all() else ([], [])
        (x0, x1), (y0, y1) = self._fit(data)
        names = [self._spec.names[i] for i in self._history.channels]
        labels = [f"{name} ({self._spec.units})" if self._spec.units else name for name in names]
        return [
            Plot(
                f"{names[1]} against {names[0]}",
                Axis(x0, x1, labels[0]),
                Axis(y0, y1, labels[1]),
                (trail, Lines(*head, [1] * len(head[0]), width=2.5)),
                f"last {self._window:g} s",
                360,
                1.0,
            )
        ]

    def controls(self) -> list[Control]:
        """Seconds shown, and the axes."""
        return [
            Control("window", "Window (s)", "number", self._window, title="Seconds shown"),
            Control("equal", "Equal axes", "toggle", self._equal, title="Both axes have the same ends"),
        ]

    def set(self, name: str, value: Any) -> None:
        """Set a control; see `controls`."""
        match name:
            case "window":
                self._window = number("window", value, 0.001, 600, "s")
                self._history = self._room()
            case "equal":
                self._equal = bool(value)
            case _:
                super().set(name, value)
        self._limits = None
        self.changed += 1

    def _room(self) -> SampleHistory:
        channels = channel_indices(self._spec, self._channels, 2)
        return SampleHistory(self._spec, max(2, round(self._window * self._spec.sample_rate)), channels)

    def _cross(self, point: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """A small cross at the newest sample."""
        (x0, x1), (y0, y1) = self._limits or ((-1.0, 1.0), (-1.0, 1.0))
        dx, dy = 0.012 * (x1 - x0), 0.012 * (y1 - y0)
        x, y = float(point[0]), float(point[1])
        return [np.array([x - dx, x + dx]), np.array([x, x])], [np.array([y, y]), np.array([y - dy, y + dy])]

    def _fit(self, data: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
        finite = data[np.isfinite(data).all(axis=1)]
        if not len(finite):
            return self._limits or ((-1.0, 1.0), (-1.0, 1.0))
        low, high = finite.min(axis=0), finite.max(axis=0)
        now = self._limits
        if now is not None:
            ends = np.array(now)
            inside = (low >= ends[:, 0]).all() and (high <= ends[:, 1]).all()
            wide = (ends[:, 1] - ends[:, 0]).min() > 4 * (high - low).max()
            if inside and not wide:
                return now
        middle = (low + high) / 2
        middle = np.where(np.abs(middle) < 0.25 * (high - low), 0.0, middle)
        half = np.array([nice_ceiling(1.1 * float(h)) for h in np.maximum(high - middle, middle - low)])
        if self._equal:
            half[:] = half.max()
        self._limits = tuple((float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True))  # pyright: ignore[reportAttributeAccessIssue]
        return self._limits  # pyright: ignore[reportReturnType]
