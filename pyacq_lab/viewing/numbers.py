"""The arithmetic of a panel of numbers: the last value of each channel, its mean and its range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.samples import SampleHistory
from pyacq_lab.viewing.scene import Element, Scene, Tile, Tiles, channel_indices, number

_MOST_CHANNELS = 32

Limits = Mapping[str, tuple[float | None, float | None]]


class NumberScene(Scene):
    """The newest values of some streams, large.

    Parameters
    ----------
    specs : sequence of StreamSpec
        Of signals.
    names : sequence of str
        Of the streams.
    window : float
        Seconds over which mean and range are taken.
    channels : sequence of str or int, optional
        Of each stream; the first 32 unless given.
    limits : dict of str to (float or None, float or None)
        By name of the channel: below the first and above the second it is shown as a warning.
    """

    def __init__(
        self,
        specs: Sequence[StreamSpec],
        names: Sequence[str],
        window: float = 1.0,
        channels: Sequence[str | int] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._window = number("window", window, 0.0, 600, "s")
        self._streams, self._asked, self._limits = list(names), channels, dict(limits or {})
        self._histories = [self._history(spec) for spec in specs]
        known = {h.spec.names[i] for h in self._histories for i in h.channels}
        if unknown := set(self._limits) - known:
            raise ConfigurationError(f"limits of {sorted(unknown)}: wanted names of channels that are shown")

    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with another stream."""
        self._histories[stream] = self._history(spec)
        self.changed += 1

    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take samples."""
        self._histories[stream].add(item)
        self.changed += 1

    def elements(self, now_ns: int) -> list[Element]:
        """A tile for each channel."""
        tiles: list[Tile] = []
        for name, history in zip(self._streams, self._histories, strict=True):
            recent = history.last(history.size)
            for column, channel in enumerate(history.channels):
                label = history.spec.names[channel]
                values = recent[:, column]
                values = values[np.isfinite(values)]
                title = f"{name} {label}" if len(self._streams) > 1 and name else label
                tiles.append(self._tile(title, label, values, recent[-1:, column], history.spec.units))
        return [Tiles(tuple(tiles))]

    def _tile(self, title: str, label: str, values: np.ndarray, newest: np.ndarray, units: str) -> Tile:
        if not len(values) or not np.isfinite(newest).all():
            return Tile(title, "\N{EN DASH}", units, "missing" if len(newest) else "no data yet", "quiet")
        low, high = self._limits.get(label, (None, None))
        value = float(newest[0])
        out = (low is not None and value < low) or (high is not None and value > high)
        step = float(np.ptp(values)) or abs(value)
        note = f"mean {rounded(float(values.mean()), step)}, {rounded(float(values.min()), step)} to "
        note += rounded(float(values.max()), step)
        if out:
            ends = [f"from {low:g}" if low is not None else "", f"to {high:g}" if high is not None else ""]
            note = f"outside {' '.join(filter(None, ends))}; {note}"
        return Tile(title, rounded(value, step), units, note, "warn" if out else "")

    def _history(self, spec: StreamSpec) -> SampleHistory:
        channels = channel_indices(spec, self._asked, _MOST_CHANNELS)
        return SampleHistory(spec, max(1, round(self._window * spec.sample_rate)), channels)


def rounded(value: float, step: float) -> str:
    """Write a number with as many digits as differences of ``step`` are worth: three of them.

    Examples
    --------
    >>> rounded(36.54321, 0.2), rounded(-1234.5678, 100.0), rounded(0.0, 0.0)
    ('36.543', '\N{MINUS SIGN}1235', '0')
    """
    if not step or not np.isfinite(step):
        text = f"{value:.6g}"
    else:
        decimals = int(np.clip(2 - np.floor(np.log10(step)), 0, 9))
        text = f"{value:.{decimals}f}" if 1e-4 <= max(abs(value), step) < 1e7 else f"{value:.4g}"
    text = text.lstrip("-") if not text.strip("-0.") else text  # no minus before nothing
    return text.replace("-", "\N{MINUS SIGN}")
