"""Which channels are drawn in which lanes, and how: what a user has chosen of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import Floats
from pyacq_lab.viewing.display import Scaling

_GAINS = (1e-4, 1e4)


class LaneSettings(Settings):
    """What is drawn of a stream. Channels go by their names, so that it also fits a stream made anew."""

    order: tuple[str, ...] = setting((), description="channels that come first, from the top")
    hidden: tuple[str, ...] = setting((), description="channels that are not drawn")
    solo: tuple[str, ...] = setting((), description="channels that alone are drawn, where there are any")
    inverted: tuple[str, ...] = setting((), description="channels that are drawn upside down")
    gains: dict[str, float] = setting({}, description="how many times as high; 1 is left out")
    shifts: dict[str, float] = setting({}, description="how many lanes higher; 0 is left out")

    def shown(self, spec: StreamSpec) -> list[int]:
        """Columns of the channels that are drawn, from the top; all of them where none would be left."""
        names = spec.names
        first = {name: i for i, name in enumerate(self.order)}
        order = sorted(range(len(names)), key=lambda c: (first.get(names[c], len(first)), c))
        chosen = set(self.solo) & set(names)
        drawn = [c for c in order if (names[c] in chosen if chosen else names[c] not in self.hidden)]
        return drawn or order

    def transform(self, spec: StreamSpec, scaling: Scaling) -> LaneTransform:
        """Work out how raw samples become lanes."""
        columns, all_names = self.shown(spec), spec.names
        shown, names = np.array(columns), [all_names[c] for c in columns]
        sign = np.array([-1.0 if name in self.inverted else 1.0 for name in names])
        gain = np.array([self.gains.get(name, 1.0) for name in names])
        shift = np.array([self.shifts.get(name, 0.0) for name in names])
        half = scaling.half[shown] / (sign * gain)
        return LaneTransform(spec, shown, scaling.centre[shown] - 2 * shift * half, half)

    # --- what a user does

    def with_shown(self, channels: Iterable[str], shown: bool) -> Self:
        """Draw channels, or leave them out."""
        return self._put(hidden=_with(self.hidden, channels, not shown))

    def with_solo(self, channels: Iterable[str], on: bool) -> Self:
        """Draw these alone, besides those that are drawn alone already; or not any more."""
        return self._put(solo=_with(self.solo, channels, on))

    def with_inverted(self, channels: Iterable[str], on: bool) -> Self:
        """Draw channels upside down, or not any more."""
        return self._put(inverted=_with(self.inverted, channels, on))

    def with_gain(self, channels: Iterable[str], factor: float) -> Self:
        """Draw channels ``factor`` times as high as now."""
        if not factor > 0:
            raise ConfigurationError(f"gain {factor!r}: wanted a factor above 0")
        gains = dict(self.gains)
        for name in channels:
            gains[name] = float(np.clip(gains.get(name, 1.0) * factor, *_GAINS))
        return self._put(gains={name: gain for name, gain in gains.items() if abs(gain - 1) > 1e-9})

    def with_shift(self, channels: Iterable[str], lanes: float) -> Self:
        """Draw channels so many lanes higher than now."""
        shifts = dict(self.shifts)
        for name in channels:
            shifts[name] = shifts.get(name, 0.0) + float(lanes)
        return self._put(shifts={name: shift for name, shift in shifts.items() if abs(shift) > 1e-9})

    def with_moved(self, spec: StreamSpec, channel: str, by: int) -> Self:
        """Draw a channel so many lanes lower than now, among those that are drawn."""
        names = spec.names
        shown = [names[c] for c in self.shown(spec)]
        if channel not in shown:
            return self
        at = shown.index(channel)
        shown.insert(max(0, at + by), shown.pop(at))
        rest = [name for name in self.order if name not in shown]
        return self._put(order=(*shown, *rest))

    def with_order(self, channels: Sequence[str]) -> Self:
        """Draw channels in this order from the top, and the others after them."""
        return self._put(order=tuple(dict.fromkeys(channels)))

    def _put(self, **changes: Any) -> Self:
        return self.checked(**(self.model_dump() | changes))


def _with(names: tuple[str, ...], more: Iterable[str], on: bool) -> tuple[str, ...]:
    changed = set(more)
    kept = tuple(name for name in names if name not in changed)
    return (*kept, *sorted(changed)) if on else kept


class LaneTransform:
    """How raw samples of some channels become fractions of their lanes: an affine map each.

    Parameters
    ----------
    spec : StreamSpec
        Of the samples.
    channels : ndarray of int, shape (n_lanes,)
        Column of each lane, from the top.
    centre, half : ndarray of float64, shape (n_lanes,)
        A lane shows ``[centre - half, centre + half]`` in the stream's units; ``half`` is below 0 where it is
        upside down.
    """

    def __init__(
        self,
        spec: StreamSpec,
        channels: npt.NDArray[np.int64],
        centre: npt.NDArray[np.float64],
        half: npt.NDArray[np.float64],
    ) -> None:
        self.channels = channels
        self.centre = centre
        self.half = half
        scale = np.broadcast_to(spec.scale, spec.n_channels)[channels]
        offset = np.broadcast_to(spec.offset, spec.n_channels)[channels]
        self._factor = scale / half
        self._term = (offset - centre) / half
        whole = len(channels) == spec.n_channels and (np.diff(channels) == 1).all()
        self._columns = slice(None) if whole else channels

    @property
    def n_lanes(self) -> int:
        """Lanes that are drawn."""
        return len(self.channels)

    def to_lanes(self, extremes: Floats) -> npt.NDArray[np.float64]:
        """Raw extremes as fractions of the half range, -1 to 1 fills a lane; the lesser first.

        Parameters
        ----------
        extremes : ndarray, shape (n_bins, n_channels, 2)

        Returns
        -------
        ndarray of float64, shape (n_bins, n_lanes, 2)
        """
        lanes = extremes[:, self._columns] * self._factor[:, np.newaxis] + self._term[:, np.newaxis]
        down = self._factor < 0
        if down.any():
            lanes[:, down] = lanes[:, down, ::-1]
        return lanes
