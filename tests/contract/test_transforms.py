"""Every transform of ours passes the contract that we ship."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import MovingMean, SosFilter
from pyacq_lab.testing import TransformContract


class SometimesNotFinite(TransformContract):
    """Signals with holes of NaN, an infinity, and a channel that starts late."""

    def signal(self, rng, spec):
        data = super().signal(rng, spec)
        data[rng.random(data.shape) < 0.01] = np.nan
        data[len(data) // 2, 0] = np.inf
        data[:50, 1] = np.nan
        data[:, 2] = np.nan
        return data


class TestLowpass(TransformContract):
    def make(self):
        return SosFilter(SosFilter.settings_type.checked(kind="lowpass", high=40.0))


class TestBandpassOfIntegers(TransformContract):
    def make(self):
        return SosFilter(SosFilter.settings_type.checked(kind="bandpass", low=1.0, high=40.0))

    def inputs(self):
        return {"in": StreamSpec.of(">i2", shape=(-1, 2), sample_rate=1000.0, scale=0.5, offset=3.0)}


class TestNotchWithHoles(SometimesNotFinite):
    def make(self):
        return SosFilter(SosFilter.settings_type.checked(kind="notch", center=50.0))


class TestMovingMean(TransformContract):
    def make(self):
        return MovingMean(MovingMean.settings_type.checked(window=0.1))


class TestMovingMeanWithHoles(SometimesNotFinite):
    def make(self):
        return MovingMean(MovingMean.settings_type.checked(window=0.013))


@pytest.mark.parametrize("n", [1, 2, 3, 7])
class TestShortMovingMean(TransformContract):
    @pytest.fixture(autouse=True)
    def window(self, n: int) -> None:
        self.n = n

    def make(self):
        return MovingMean(MovingMean.settings_type.checked(window=self.n / 1000))
