"""Every transform of ours passes the contract that we ship."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import (
    ChannelSplitter,
    ChunkResizer,
    MovingMean,
    SosFilter,
    StreamAligner,
    StreamConverter,
)
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
    def live(self):
        return {"high": 5.0, "order": 2}

    def make(self):
        return SosFilter(SosFilter.settings_type.checked(kind="lowpass", high=40.0))


class TestBandpassOfIntegers(TransformContract):
    def live(self):
        return {"high": 80.0}

    def make(self):
        return SosFilter(SosFilter.settings_type.checked(kind="bandpass", low=1.0, high=40.0))

    def inputs(self):
        return {"in": StreamSpec.of(">i2", shape=(-1, 2), sample_rate=1000.0, scale=0.5, offset=3.0)}


class TestNotchWithHoles(SometimesNotFinite):
    def live(self):
        return {"center": 60.0, "quality": 5.0}

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


class TestSaturatingConverter(TransformContract):
    def make(self):
        return StreamConverter(
            StreamConverter.settings_type.checked(dtype="int8", casting="saturate", byte_order="big")
        )


class TestConverterToPhysicalUnits(TransformContract):
    def make(self):
        return StreamConverter(StreamConverter.settings_type.checked(dtype="float32", physical=True))

    def inputs(self):
        return {"in": StreamSpec.of(">i2", shape=(-1, 2), sample_rate=1000.0, scale=0.5, offset=3.0)}


class TestConverterThatChangesNothing(TransformContract):
    def make(self):
        return StreamConverter(StreamConverter.settings_type.checked())


class TestSplitter(TransformContract):
    def make(self):
        outputs = {"one": [1], "turned": ["::-1"], "mixed": ["c", 0], "same": ["c", "b"]}
        return ChannelSplitter(ChannelSplitter.settings_type.checked(outputs=outputs))

    def inputs(self):
        names = ("a", "b", "c")
        return {"in": StreamSpec.of("<i4", shape=(-1, 3), sample_rate=1000.0, channel_names=names)}


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("mode", ["exactly", "at_most", "at_least"])
@pytest.mark.parametrize("size", [1, 7, 64, 5000])
class TestResizer(TransformContract):
    n_samples = 500
    n_trials = 5

    @pytest.fixture(autouse=True)
    def with_settings(self, size: int, mode: str, aligned: bool) -> None:
        self.settings = {"chunk_size": size, "mode": mode, "aligned": aligned}

    def make(self):
        return ChunkResizer(ChunkResizer.settings_type.checked(**self.settings))

    def inputs(self):
        dtype = [("x", "<f4"), ("flag", "?")]
        return {"in": StreamSpec.of(dtype, shape=(-1,), sample_rate=30_000.0)}


@pytest.mark.parametrize("missing", ["gap", "fill"])
@pytest.mark.parametrize("method", ["nearest", "previous", "linear"])
@pytest.mark.parametrize("rate", [1000.0, 250.0, 30_000 / 7])
class TestAligner(TransformContract):
    n_samples = 500
    n_trials = 5

    @pytest.fixture(autouse=True)
    def with_settings(self, rate: float, method: str, missing: str) -> None:
        self.rate, self.method, self.missing = rate, method, missing

    def make(self):
        return StreamAligner(
            StreamAligner.settings_type.checked(
                inputs={"ref": "reference", "other": self.method, "third": "previous"},
                missing=self.missing,
                latency=100.0,
            )
        )

    def inputs(self):
        return {
            "ref": StreamSpec(shape=(-1, 2), sample_rate=1000.0, group_delay=0.0123),
            "other": StreamSpec.of("<i2", shape=(-1, 1), sample_rate=self.rate),
            "third": StreamSpec.of(">f4", shape=(-1, 3), sample_rate=1000.0, group_delay=0.0127),
        }
