"""What a viewer shows of a stream: how many bins, which lanes, at what scale, in which colours.

Channels are drawn in *lanes*, one above the other, the first at the top. Lane ``i`` of ``n`` is centred at
``y = n - 1 - i`` and is one unit high: the centre's value plus the half range lies at its upper edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.bins import Floats

ScaleMode = Literal["shared", "each"]

LIGHT_COLORS = ("#0072b2", "#d55e00", "#00876c", "#a8518a", "#b07c00", "#2e8fd0")
DARK_COLORS = ("#5ab4f0", "#ff8a4c", "#2ccb9f", "#e79bc7", "#f0bc42", "#9ad7f7")
"""Colours of lanes on a light and a dark ground, after Okabe and Ito: told apart by colour-blind eyes."""

BYTES_PER_SECOND = 400_000
"""Most bytes of bins per second and widget: Jupyter's server drops messages above 1 MB/s at its defaults."""

_SAMPLED = 250
"""Bins that are looked at to find out how high a trace usually is."""

BYTES_PER_BIN = 4
"""Bytes of one bin of one channel on their way to the page."""


def bin_size_for(
    spec: StreamSpec, window: float, columns: int, n_panels: int = 1, n_lanes: int | None = None
) -> int:
    """Samples per bin.

    As many bins in a window as there are columns of pixels, or fewer where that would be more bytes per
    second than the way to the page can take.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream.
    window : float
        Seconds shown.
    columns : int
        Columns of pixels.
    n_panels : int
        Streams that share the way to the page.
    n_lanes : int, optional
        Channels that are drawn; all of them unless given.
    """
    budget = BYTES_PER_SECOND / (n_panels * (n_lanes or spec.n_channels) * BYTES_PER_BIN)
    return max(1, math.ceil(spec.sample_rate / min(columns / window, budget)))


def physical(extremes: Floats, spec: StreamSpec) -> Floats:
    """Extremes in the stream's units, the lesser first also where the stream's scale is negative."""
    if not spec.is_scaled:
        return extremes
    scale, offset = np.reshape(spec.scale, (-1, 1)), np.reshape(spec.offset, (-1, 1))
    values = extremes * scale + offset
    return values if (scale > 0).all() else np.sort(values, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Centre and half range of each lane, in the stream's units.

    Attributes
    ----------
    centre, half : ndarray of float64, shape (n_channels,)
        A lane shows ``[centre - half, centre + half]``.
    """

    centre: npt.NDArray[np.float64]
    half: npt.NDArray[np.float64]

    @classmethod
    def unit(cls, n_channels: int) -> Scaling:
        """Lanes from -1 to 1."""
        return cls(np.zeros(n_channels), np.ones(n_channels))

    def zoomed(self, factor: float) -> Scaling:
        """Traces ``factor`` times as high, about the same centres."""
        return Scaling(self.centre, self.half / factor)

    def to_lanes(self, values: Floats) -> Floats:
        """Values as fractions of the half range: -1 to 1 fills a lane.

        Parameters
        ----------
        values : ndarray, shape (n_bins, n_channels, 2)
            In the stream's units.
        """
        return (values - self.centre[:, np.newaxis]) / self.half[:, np.newaxis]


def fit(values: Floats, mode: ScaleMode = "shared", *, at_median: bool = False) -> Scaling | None:
    """Scaling in which traces fill their lanes.

    Rare spikes may leave their lane (they are drawn over its neighbours), so that one of them does not
    flatten everything else; neither does one broken channel among many.

    Parameters
    ----------
    values : ndarray, shape (n_bins, n_channels, 2)
        Extremes in the stream's units; NaN where there is nothing.
    mode : {'shared', 'each'}
        One half range for all lanes, so that amplitudes compare, or one for each.
    at_median : bool
        Whether every trace is drawn about its median; else about zero where it lives about that.

    Returns
    -------
    Scaling or None
        None where there is not one finite number.
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    seen = ~np.isnan(finite).all(axis=(0, 2))
    if not seen.any():
        return None
    n_channels = values.shape[1]
    finite = finite if seen.all() else finite[:, seen]
    centre, reach = np.zeros(n_channels), np.zeros(n_channels)
    sample = _sample(finite)
    middle = np.nanmedian(sample.mean(axis=2), axis=0)
    # A trace that lives about zero is drawn about zero.
    about_zero = np.abs(middle) < 0.5 * _reach(finite, sample, middle)
    centre[seen] = middle if at_median else np.where(about_zero, 0.0, middle)
    reach[seen] = _reach(finite, sample, centre[seen])
    if mode == "shared":
        reach = np.full(n_channels, np.quantile(reach[seen], 0.9, method="higher"))
    half = np.array([nice_ceiling(1.05 * r) for r in reach])
    step = half / 10
    return Scaling(np.round(centre / step) * step, half)


def _sample(values: Floats) -> Floats:
    """Some of the bins, evenly spaced, whole where there are such: they tell a trace's usual height."""
    some = values[:: max(1, len(values) // _SAMPLED)]
    whole = some[~np.isnan(some).any(axis=(1, 2))]
    return whole if len(whole) else values


def _reach(values: Floats, sample: Floats, centre: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far from its centre a trace goes, all but its rarest spikes, shape (n_channels,)."""
    most = np.maximum(np.nanmax(values[..., 1], axis=0) - centre, centre - np.nanmin(values[..., 0], axis=0))
    away = np.abs(sample - centre[:, np.newaxis])
    # numpy's nanquantile goes channel by channel: some 10 times slower.
    quantile = np.nanquantile if np.isnan(away).any() else np.quantile
    common = quantile(away, 0.98, axis=(0, 2))
    whole = (common == 0) | (most <= 5 * common)  # the peaks of a heart belong to it; a glitch does not
    return np.where(whole, most, np.maximum(common, np.minimum(most / 3, 10 * common)))


def fits(now: Scaling, wanted: Scaling) -> bool:
    """Whether a scaling still serves where another was wanted: with slack, so that a picture stands still."""
    ratio = now.half / wanted.half
    shift = np.abs(now.centre - wanted.centre) / now.half
    return bool((ratio >= 1).all() and (ratio.min() < 3) and (shift < 0.25).all())


def nice_ceiling(value: float) -> float:
    """Smallest round number that is not below a value; 1 for zero.

    Examples
    --------
    >>> nice_ceiling(0.3), nice_ceiling(12), nice_ceiling(0)
    (0.3, 15.0, 1.0)
    """
    if not value > 0:
        return 1.0
    exponent = math.floor(math.log10(value))
    for mantissa in (1, 1.5, 2, 3, 4, 5, 6, 8, 10):
        # 10**-3 is not exact, so multiply or divide by a whole power.
        nice = mantissa * 10.0**exponent if exponent >= 0 else mantissa / 10.0**-exponent
        if value <= nice * (1 + 1e-9):
            return nice
    return 10.0 ** (exponent + 1)


def _landmark(half: float) -> float:
    """Greatest of 1, 2 or 5 times a power of ten that a lane shows with some air."""
    exponent = math.floor(math.log10(0.9 * half))
    power = 10.0**exponent
    return power * max(m for m in (1, 2, 5) if m == 1 or m * power <= 0.9 * half)


def quantity(value: float, units: str = "") -> str:
    """Number with its unit, short enough for an axis.

    Examples
    --------
    >>> quantity(0.5, "mV"), quantity(-2000.0), quantity(1.5e-7, "V")
    ('0.5 mV', '-2000', '1.5e-07 V')
    """
    text = f"{value:.4g}" if value else "0"
    if "e+" in text and abs(value) < 1e6:
        text = f"{value:.0f}"
    return (
        f"{text} {units}".rstrip().replace("-", "\N{MINUS SIGN}", 1)
        if value < 0
        else f"{text} {units}".rstrip()
    )


def ticks(
    names: Sequence[str], scaling: Scaling, units: str, height: float, label_height: float = 13.0
) -> list[tuple[float, str]]:
    """Places and labels of a panel's vertical axis, from the top.

    Lanes high enough carry two values beside their name; where names would touch, only some are given.

    Parameters
    ----------
    names : sequence of str
        Of the channels.
    scaling : Scaling
        Of the lanes.
    units : str
        Of the values.
    height : float
        Of the panel, pixels.
    label_height : float
        Room that a label takes, pixels.
    """
    n = len(names)
    lane = height / n
    step = max(1, math.ceil(label_height / lane))
    labels: list[tuple[float, str]] = []
    for i in range(0, n, step):
        y = float(n - 1 - i)
        if lane >= 4.5 * label_height:
            centre, half = float(scaling.centre[i]), float(scaling.half[i])
            mark = _landmark(abs(half))  # below 0 where the lane is upside down
            at = 0.5 * mark / half
            labels += [
                (y + at, quantity(centre + mark, units)),
                (y, names[i]),
                (y - at, quantity(centre - mark, units)),
            ]
        else:
            labels.append((y, names[i]))
    return labels


def scale_label(scaling: Scaling, units: str) -> str:
    """What a lane's height means, such as ``"\N{PLUS-MINUS SIGN}200 µV"``, or that lanes differ."""
    half = np.abs(scaling.half)
    if np.ptp(half) > 1e-9 * half[0]:
        return "lanes differ"
    return f"\N{PLUS-MINUS SIGN}{quantity(float(half[0]), units)}"


def y_limits(n_channels: int) -> tuple[float, float]:
    """Lower and upper end of a panel's vertical axis: the lanes and a little air."""
    return -0.55, n_channels - 0.45
