"""Samples as the integers that EDF and BDF hold, and the physical range that makes values of them again."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.recording.export.edf_file import number
from pyacq_lab.recording.export.plan import Part, tell

_PREFIXES = ((1e3, "m"), (1e6, "u"), (1e9, "n"), (1e12, "p"))
_SI = frozenset({"V", "A", "T", "F", "S", "s", "m", "g", "W", "Pa", "N", "Hz"})


@dataclass(frozen=True)
class Digits:
    """How the samples of one part become digital ones.

    Attributes
    ----------
    part : Part
        The part.
    units : str
        Of the physical values.
    physical : list of (str, str)
        Physical values of the digital range, for each channel.
    low, high : int
        The digital range; `low` stands where there is no sample.
    shift : int or None
        Digital samples are raw ones less this; None: they are quantised.
    factor : float
        From the stream's units to `units`.
    """

    part: Part
    units: str
    physical: list[tuple[str, str]]
    low: int
    high: int
    shift: int | None
    factor: float

    def between(self, start: int, stop: int) -> npt.NDArray[np.int32]:
        """Digital samples, shape (stop - start, n_channels)."""
        spec = self.part.signal.spec
        shape = stop - start, spec.n_channels
        if self.shift is not None:
            masked = self.part.signal.masked(start, stop)
            found = masked.data.astype(np.int64).reshape(shape) - self.shift
            return np.where(np.ma.getmaskarray(masked).reshape(shape), self.low, found).astype(np.int32)
        values = self.part.in_units(start, stop).reshape(shape) * self.factor
        ends = np.array([[float(text) for text in pair] for pair in self.physical])
        step = (ends[:, 1] - ends[:, 0]) / (self.high - self.low)
        found = np.clip(np.rint((values - ends[:, 0]) / step) + self.low, self.low + 1, self.high)
        return np.where(np.isnan(values), self.low, found).astype(np.int32)


def digits_of(part: Part, sample_nbytes: int) -> Digits:
    """Choose the digital range; says by an `ExportWarning` what is lost.

    Integers stay as they are, shifted if need be, where those of the file hold them. Others are quantised,
    from the least to the largest value of each channel.
    """
    spec = part.signal.spec
    low, high = -(256**sample_nbytes) // 2, 256**sample_nbytes // 2 - 1
    bounds = _bounds(part, high - low) if spec.np_dtype.kind in "biu" else None
    if bounds is None:
        return _quantised(part, low, high)
    least, most = bounds
    shift = 0 if low <= least and most <= high else least - low
    # No wider than need be, as the ends' values are rounded; one more for what is missing, if there is room.
    low, high = max(low, least - shift - 1), most - shift
    scale, offset = (np.broadcast_to(value, spec.n_channels) for value in (spec.scale, spec.offset))
    ends = np.array([(low + shift) * scale + offset, (high + shift) * scale + offset]).T
    factor, units = _prefixed(spec.units, float(np.abs(ends).max()))
    physical = [(number(a * factor), number(b * factor)) for a, b in ends]
    said = np.array([[float(text) for text in pair] for pair in physical]) / factor
    off = float((np.abs(said - ends) / np.abs(scale)[:, np.newaxis]).max())
    if off > (high - low) / 100:
        raise _too_small(part)
    if off > 0.01:
        tell(
            f"{part.title!r}: samples are kept, but EDF has 8 characters for a scale, and values become "
            f"wrong by up to {off:.2g} of their steps"
        )
    return Digits(part, units, physical, low, high, shift, factor)


def _bounds(part: Part, reach: int) -> tuple[int, int] | None:
    """Between what two integers all samples are; None where these are more than so far apart."""
    dtype = part.signal.spec.np_dtype
    least, most = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if most - least > reach:
        found = _extremes(part, part.signal.masked)
        least, most = (0, 1) if found is None else (int(found[0].min()), int(found[1].max()))
        most = max(most, least + 1)
    return (least, most) if most - least <= reach else None


def _quantised(part: Part, low: int, high: int) -> Digits:
    spec, n = part.signal.spec, part.signal.spec.n_channels
    n_missing = 0

    def finite(start: int, stop: int) -> np.ma.MaskedArray[Any, Any]:
        nonlocal n_missing
        values = part.in_units(start, stop)
        if np.isinf(values).any():
            raise ConfigurationError(
                f"{part.title!r} has infinite samples, which EDF cannot hold: export to HDF5"
            )
        n_missing += int(np.isnan(values).sum())
        return np.ma.masked_invalid(values)

    found = _extremes(part, finite)
    least, most = (np.zeros(n), np.zeros(n)) if found is None else found
    factor, units = _prefixed(spec.units, float(max(np.abs(least).max(), np.abs(most).max())))
    physical: list[tuple[str, str]] = []
    for a, b in zip((least * factor).tolist(), (most * factor).tolist(), strict=True):
        # The lowest digital value is for what is missing: the physical range begins a step lower.
        top = number(b if b > a else a + 1, 1)
        step = (Fraction(top) - Fraction(a)) / (high - low - 1)
        bottom = number(float(Fraction(a) - step), -1)
        if Fraction(top) - Fraction(bottom) > 2 * Fraction(b - a) > 0:
            raise _too_small(part)
        physical.append((bottom, top))
    step = max((float(b) - float(a)) / (high - low) for a, b in physical)
    kind = "EDF" if high < 2**15 else "BDF"
    tell(
        f"{part.title!r}: {kind} holds integers, samples are rounded to steps of {step:.3g} {units}".rstrip()
        + (" or less" if n > 1 else "")
        + ("" if kind == "BDF" else "; BDF has finer ones")
    )
    n_missing -= sum(len(gap) for gap in part.signal.gaps) * n
    if n_missing:
        tell(f"{part.title!r}: {n_missing} samples of NaN are written as the lowest digital value, {low}")
    return Digits(part, units, physical, low, high, None, factor)


def _extremes(part: Part, read: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Least and largest sample of each channel; None where there is none at all."""
    least: Any = None
    most: Any = None
    for start, stop in part.blocks(part.signal.start, part.signal.stop):
        block = read(start, stop).reshape(stop - start, part.signal.spec.n_channels)
        low, high = block.min(axis=0), block.max(axis=0)
        least = low if least is None else np.ma.minimum(least, low)
        most = high if most is None else np.ma.maximum(most, high)
    if least is None or np.ma.getmaskarray(least).all():
        return None
    fill = least.compressed()[0]  # a channel without any sample
    return np.ma.filled(least, fill), np.ma.filled(most, fill)


def _prefixed(units: str, largest: float) -> tuple[float, str]:
    """Factor and units for values of which the header's 8 characters say enough digits."""
    if units not in _SI or not 0 < largest < 1:
        return 1.0, units
    factor, prefix = next(((f, p) for f, p in _PREFIXES if largest * f >= 1), _PREFIXES[-1])
    return factor, prefix + units


def _too_small(part: Part) -> ConfigurationError:
    return ConfigurationError(
        f"{part.title!r}: its values in {part.signal.units or 'its units'} are too small, or too alike, for "
        "the 8 characters that EDF has for a scale: give other units with Rescale, or export to HDF5"
    )
