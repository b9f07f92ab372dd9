"""What a viewer shows, as plain values: a page draws them while it lives, and Pillow where there is no page.

A `Scene` takes what streams give, and says at any moment what is to be seen: plots, pictures and numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec

INK = -1
"""Colour of a line that has none of its own: that of the text."""

PALETTES = ("Viridis", "Inferno", "Cividis", "Turbo", "Greys")
"""Colour maps, from little to much."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a plot.

    Attributes
    ----------
    start, stop : float
        Its ends.
    label : str
        Written along it.
    is_log : bool
        Whether it has powers of ten at equal distances.
    ticks : tuple of (float, str)
        Places and labels; empty for numbers at round places.
    """

    start: float
    stop: float
    label: str = ""
    is_log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines of straight pieces; NaN interrupts them.

    Attributes
    ----------
    xs, ys : sequence of ndarray, each of shape (n_points,)
        Of each line. Lines that share their x give the very same array.
    colors : sequence of int
        Number of each line's colour, or `INK`.
    alphas : sequence of float
        Opacity of each, 0 to 1; empty for 1.
    width : float
        Of all, CSS pixels.
    """

    xs: Sequence[Array]
    ys: Sequence[Array]
    colors: Sequence[int]
    alphas: Sequence[float] = ()
    width: float = 1.4


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Gaps: from left to right, all over the height."""

    lefts: Sequence[float] = ()
    rights: Sequence[float] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Columns of colours that move to the left.

    Attributes
    ----------
    levels : ndarray of uint8, shape (n_columns, n_rows)
        The newest columns, each from the lowest row; 0 for nothing, 1 to 255 for little to much.
    stop : int
        Number of columns that there ever were: which of them a page has already.
    capacity : int
        Columns from the left to the right end of the axis.
    bottom, top : float
        Where the rows begin and end.
    palette : str
        One of `PALETTES`.
    revision : int
        Grows when columns that were shown have other levels.
    """

    levels: npt.NDArray[np.uint8]
    stop: int
    capacity: int
    bottom: float
    top: float
    palette: str
    revision: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """Axes and what lies between them, from the lowest layer. Which layers there are never changes.

    Attributes
    ----------
    name, note : str
        Over its left and its right end.
    height : int
        Of the frame, CSS pixels.
    aspect : float
        Width by height, where that matters; 0: as wide as there is room.
    legend : tuple of str
        Names of the colours 0, 1, ...
    """

    name: str
    x: Axis
    y: Axis
    layers: tuple[Lines | Bands | Raster, ...]
    note: str = ""
    height: int = 240
    aspect: float = 0.0
    legend: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a video.

    Attributes
    ----------
    pixels : ndarray of uint8 or None
        Shape (height, width) or (height, width, 3); None before the first.
    """

    name: str
    pixels: npt.NDArray[np.uint8] | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, large.

    Attributes
    ----------
    value : str
        As it is written.
    units, note : str
        Beside and below it.
    tone : {'', 'warn', 'quiet'}
        Whether it is out of its range, or unknown.
    """

    name: str
    value: str
    units: str = ""
    note: str = ""
    tone: Literal["", "warn", "quiet"] = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Numbers, side by side."""

    tiles: tuple[Tile, ...]


Element = Plot | Picture | Tiles


@dataclass(frozen=True, slots=True)
class Control:
    """Something that people can set while they look.

    Attributes
    ----------
    name, label, title : str
        What it sets, what is written on it, and what it does.
    kind : {'choice', 'number', 'toggle', 'action'}
        What it looks like.
    value : object
        As it is now.
    options : tuple of str
        Of a choice.
    """

    name: str
    label: str
    kind: Literal["choice", "number", "toggle", "action"]
    value: Any = None
    options: tuple[str, ...] = ()
    title: str = ""


class Scene(ABC):
    """Display arithmetic of one viewer.

    Not thread-safe: its owner serialises the calls. Arrays in `elements` are never written to again.

    Attributes
    ----------
    changed : int
        Grows with everything that makes `elements` give something else.
    shape : int
        Grows when there are other plots, other layers, or other kinds of axes than before.
    moves : bool
        Whether `elements` give something else as time goes on, though nothing comes.
    """

    changed = 0
    shape = 0
    moves = False

    @abstractmethod
    def add(self, stream: int, item: Chunk | Gap, now_ns: int) -> None:
        """Take the next chunk or gap of a stream, in order; ``now_ns`` is ns since 1970 UTC."""

    @abstractmethod
    def renew(self, stream: int, spec: StreamSpec) -> None:
        """Begin anew with a stream that was configured anew. StreamMismatch where it cannot be shown."""

    @abstractmethod
    def elements(self, now_ns: int) -> list[Element]:
        """What is to be seen at a time, from the top."""

    def controls(self) -> list[Control]:
        """What can be set now."""
        return []

    def set(self, name: str, value: Any) -> None:
        """Set what `controls` offer.

        Raises
        ------
        ConfigurationError
            There is no such control, or it cannot be set to that.
        """
        raise ConfigurationError(f"no control {name!r} here")


def chosen(name: str, value: Any, options: Sequence[str]) -> str:
    """Give back one of a control's options. Raises ConfigurationError where the value is none."""
    if value not in options:
        raise ConfigurationError(f"{name} {value!r}: wanted one of {', '.join(map(repr, options))}")
    return value


def number(name: str, value: Any, least: float, most: float, units: str = "") -> float:
    """Give back a number in a range. Raises ConfigurationError where the value is none."""
    try:
        as_float = float(value)
    except (TypeError, ValueError):
        as_float = float("nan")
    if not least <= as_float <= most:
        raise ConfigurationError(f"{name} {value!r}: wanted {least:g} to {most:g} {units}".rstrip())
    return as_float


def channel_indices(spec: StreamSpec, channels: Sequence[str | int] | None, most: int) -> list[int]:
    """Columns of channels, given by name or number; the first ``most`` where none are given.

    Raises
    ------
    ConfigurationError
        There is no such channel.
    """
    if channels is None:
        return list(range(min(most, spec.n_channels)))
    found: list[int] = []
    for channel in channels:
        if isinstance(channel, str) and channel in spec.names:
            found.append(spec.names.index(channel))
        elif isinstance(channel, int) and -spec.n_channels <= channel < spec.n_channels:
            found.append(channel % spec.n_channels)
        else:
            raise ConfigurationError(
                f"channel {channel!r}: wanted numbers below {spec.n_channels}, or names among "
                f"{', '.join(map(repr, spec.names[:20]))}"
            )
    if not found:
        raise ConfigurationError("channels: wanted one at least")
    return found
