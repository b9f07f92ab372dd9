"""Design of filters as second-order sections, and what follows from their coefficients."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator
from scipy import signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.processing.checks import require_corners

Sections = npt.NDArray[np.float64]
"""Second-order sections, shape (n_sections, 6), as `scipy.signal.sosfilt` takes them."""

Kind = Literal["lowpass", "highpass", "bandpass", "bandstop", "notch", "sos"]

_NEEDS: dict[str, tuple[str, ...]] = {
    "lowpass": ("high",),
    "highpass": ("low",),
    "bandpass": ("low", "high"),
    "bandstop": ("low", "high"),
    "notch": ("center",),
    "sos": ("sos",),
}


class SosFilterSettings(Settings):
    """Settings of `SosFilter`."""

    kind: Kind = setting(
        "lowpass", description="what passes; 'notch' cuts `center`, 'sos' takes the coefficients given"
    )
    low: float | None = setting(
        None, gt=0, unit="Hz", live=True, description="lower corner (highpass, bandpass, bandstop)"
    )
    high: float | None = setting(
        None, gt=0, unit="Hz", live=True, description="upper corner (lowpass, bandpass, bandstop)"
    )
    center: float | None = setting(None, gt=0, unit="Hz", live=True, description="frequency cut by a notch")
    quality: float = setting(30.0, gt=0, live=True, description="center / width at -3 dB of a notch")
    order: int = setting(
        4, ge=1, le=20, live=True, description="order of the prototype; bands have twice as many poles"
    )
    family: Literal["butterworth", "bessel"] = setting(
        "butterworth",
        live=True,
        description="butterworth: flattest passband; bessel: least distortion of shape",
    )
    sos: tuple[tuple[float, float, float, float, float, float], ...] | None = setting(
        None,
        live=True,
        description="second-order sections b0, b1, b2, a0, a1, a2, designed for the sample rate",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        needed = _NEEDS[self.kind]
        for name in ("low", "high", "center", "sos"):
            given = getattr(self, name) is not None
            if given != (name in needed):
                raise ValueError(f"kind='{self.kind}' {'does not take' if given else 'needs'} {name}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low={self.low} Hz must lie below high={self.high} Hz")
        if self.sos is not None and not self.sos:
            raise ValueError("sos needs at least one section")
        return self


def design(settings: SosFilterSettings, sample_rate: float) -> Sections:
    """Second-order sections for a sample rate.

    Raises
    ------
    ConfigurationError
        A corner lies at or above half the sample rate, or what comes out is not a stable filter.
    """
    corners = require_corners((settings.low, settings.high, settings.center), sample_rate)
    if settings.sos is not None:
        return _checked(np.array(settings.sos, dtype=np.float64))
    if settings.center is not None:
        b, a = signal.iirnotch(settings.center, settings.quality, fs=sample_rate)
        return _stable(np.concatenate([b, a], dtype=np.float64)[np.newaxis], settings, sample_rate)
    band: Any = corners[0] if len(corners) == 1 else corners
    order, kind = settings.order, settings.kind
    sos: Any  # scipy's annotations do not know that output="sos" gives an array
    if settings.family == "bessel":
        # norm="mag" puts -3 dB at the corner, as for butterworth.
        sos = signal.bessel(order, band, kind, norm="mag", output="sos", fs=sample_rate)
    else:
        sos = signal.butter(order, band, kind, output="sos", fs=sample_rate)
    return _stable(sos, settings, sample_rate)


def dc_gain(sos: Sections) -> float:
    """Gain at 0 Hz."""
    return float(np.prod(sos[:, :3].sum(axis=1) / sos[:, 3:].sum(axis=1)))


def group_delay(settings: SosFilterSettings, sos: Sections, sample_rate: float) -> float:
    """Group delay, s, where the filter lets pass: a single figure for what depends on frequency.

    Taken at 0 Hz for lowpass, notch and bandstop, in the (geometric) middle of a bandpass, and at half the
    sample rate for highpass. Coefficients given by the user count as a filter that passes 0 Hz; where they
    do not, the delay is not defined and given as 0.
    """
    frequency = 0.0
    if settings.kind == "highpass":
        frequency = sample_rate / 2
    elif settings.kind == "bandpass" and settings.low is not None and settings.high is not None:
        frequency = float(np.sqrt(settings.low * settings.high))
    # A polynomial p in 1/z delays by Re(sum k p_k z^-k / sum p_k z^-k); those of a cascade add up.
    z = np.exp(-2j * np.pi * frequency / sample_rate * np.arange(3))
    above, below = (sos.reshape(-1, 2, 3) * np.arange(3)) @ z, sos.reshape(-1, 2, 3) @ z
    if (np.abs(below) < 1e-12).any():
        return 0.0
    delays = (above / below).real
    return float((delays[:, 0] - delays[:, 1]).sum() / sample_rate)


def _stable(sos: Sections, settings: SosFilterSettings, sample_rate: float) -> Sections:
    """Refuse a design of which rounding has put a pole on the unit circle, or outside."""
    a1, a2 = sos[:, 4], sos[:, 5]
    if not ((a2 < 1) & (np.abs(a1) < 1 + a2)).all():  # where the poles of a section lie inside
        given = {name: getattr(settings, name) for name in ("low", "high", "center")}
        if settings.center is not None:
            given["quality"] = settings.quality
        words = ", ".join(f"{name}={value:g}" for name, value in given.items() if value is not None)
        raise ConfigurationError(
            f"{words}: no stable {settings.kind} filter of order {settings.order} at {sample_rate:g} Hz in "
            "float64: corners must lie farther from 0 Hz and from half the sample rate; resample first"
        )
    return sos


def _checked(sos: Sections) -> Sections:
    if not np.isfinite(sos).all() or (sos[:, 3] != 1).any():
        raise ConfigurationError(
            f"sos={sos.tolist()}: wanted finite coefficients with a0 = 1 in each section"
        )
    radius = max(float(np.abs(np.roots(section[3:])).max(initial=0.0)) for section in sos)
    if radius >= 1:
        raise ConfigurationError(
            f"sos={sos.tolist()} is not stable: a pole lies at radius {radius:.6g}, wanted < 1"
        )
    return sos
