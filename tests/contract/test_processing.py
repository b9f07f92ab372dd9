"""The filters, references and triggers pass the contract that we ship."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import (
    AnalogTrigger,
    ChannelSelect,
    DigitalTrigger,
    Envelope,
    EpochAccumulator,
    FirFilter,
    OverlapFiltfilt,
    Reference,
    Resample,
    Rescale,
    Spectrum,
    TimeFrequency,
)
from pyacq_lab.testing import TransformContract


def made(kind, /, **settings):
    return kind(kind.settings_type.checked(**settings))


class SometimesNotFinite(TransformContract):
    """Signals with holes of NaN, an infinity, and a channel that starts late."""

    n_trials = 10

    def signal(self, rng, spec):
        data = super().signal(rng, spec)
        data[rng.random(data.shape) < 0.002] = np.nan
        data[len(data) // 2, 0] = np.inf
        data[:50, 1] = np.nan
        return data


class OfIntegers(TransformContract):
    """Raw numbers of the other byte order, with a scale and an offset of each channel."""

    n_trials = 10

    def inputs(self):
        fields = {"shape": (-1, 3), "sample_rate": 1000.0, "channel_names": ("a", "b", "c")}
        return {"in": StreamSpec.of(">i2", scale=(0.5, 1.0, 2.0), offset=(3.0, 0.0, -1.0), **fields)}


class TestChannelSelect(OfIntegers):
    def make(self):
        return made(ChannelSelect, channels=["c", 0])


class TestRescale(OfIntegers):
    def make(self):
        return made(Rescale, gain=[1, 2, 3], offset=-1, units="N")

    def live(self):
        return {"gain": 5.0}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"exclude": ["b"]},
        {"kind": "channels", "channels": ["c"]},
        {"kind": "bipolar", "pairs": [["a", "b"], ["a", "c"], ["b", "c"]]},
    ],
    ids=str,
)
class TestReference(OfIntegers):
    n_trials = 5

    @pytest.fixture(autouse=True)
    def with_settings(self, settings) -> None:
        self.settings = settings

    def make(self):
        return made(Reference, **self.settings)


class TestFirFilter(SometimesNotFinite):
    def make(self):
        return made(FirFilter, high=40.0, n_taps=31)


@pytest.mark.parametrize("taps", [[2.0], [1.0, 2.0], [1.0, -1.0, 0.5], [1.0, 0.0, 0.0, -1.0]], ids=len)
class TestFirFilterOfFewTaps(OfIntegers):
    n_trials = 5

    @pytest.fixture(autouse=True)
    def with_settings(self, taps) -> None:
        self.taps = taps

    def make(self):
        return made(FirFilter, kind="taps", taps=self.taps)


@pytest.mark.parametrize("kind", ["rms", "rectified", "hilbert"])
class TestEnvelope(SometimesNotFinite):
    @pytest.fixture(autouse=True)
    def with_settings(self, kind) -> None:
        self.kind = kind

    def make(self):
        return made(Envelope, kind=self.kind, window=0.033)


ANALOG = [
    {},
    {"edge": "both", "hysteresis": 30.0, "debounce": 0.02},
    {"edge": "falling", "hysteresis": 50.0, "stable": 0.004, "channels": ["c", "a"]},
]


@pytest.mark.parametrize("settings", ANALOG, ids=["plain", "both", "falling"])
class TestAnalogTrigger(SometimesNotFinite):
    n_trials = 7

    @pytest.fixture(autouse=True)
    def with_settings(self, settings) -> None:
        self.settings = settings

    def make(self):
        return made(AnalogTrigger, threshold=50.0, **self.settings)

    def inputs(self):
        names = ("a", "b", "c")
        return {
            "in": StreamSpec(shape=(-1, 3), sample_rate=1000.0, channel_names=names, scale=2.0, offset=1.0)
        }

    def live(self):
        return {"threshold": -20.0, "edge": "both", "stable": 0.002, "debounce": 0.0, "hysteresis": 10.0}


@pytest.mark.parametrize("dtype", ["?", "u1", ">i2", "<u4"])
class TestDigitalTrigger(TransformContract):
    n_trials = 7

    @pytest.fixture(autouse=True)
    def with_settings(self, dtype) -> None:
        self.dtype = dtype

    def make(self):
        bits = [0] if self.dtype == "?" else [7, 0]
        return made(DigitalTrigger, bits=bits, edge="both", debounce=0.003, stable=0.002)

    def inputs(self):
        return {
            "in": StreamSpec.of(self.dtype, shape=(-1, 2), sample_rate=1000.0, streamtype="digitalsignal")
        }

    def live(self):
        return {"edge": "falling", "debounce": 0.0}


class TestOverlapFiltfilt(SometimesNotFinite):
    def make(self):
        return made(OverlapFiltfilt, kind="bandpass", low=5.0, high=80.0, order=2, block=0.03, overlap=0.05)

    def live(self):
        return {"low": 20.0}


class TestOverlapFiltfiltOfIntegers(OfIntegers):
    def make(self):
        return made(OverlapFiltfilt, high=80.0)

    def live(self):
        return {"high": 40.0, "order": 1}


@pytest.mark.parametrize("rate", [250.0, 400.0, 1000.0, 3000.0, 999.0])
class TestResample(SometimesNotFinite):
    n_trials = 5

    @pytest.fixture(autouse=True)
    def with_settings(self, rate) -> None:
        self.rate = rate

    def make(self):
        return made(Resample, sample_rate=self.rate)


class TestSpectrum(SometimesNotFinite):
    def make(self):
        return made(Spectrum, every=0.05, length=0.2, segment=0.1, low=5.0, high=100.0)


class TestSpectrumOfIntegers(OfIntegers):
    n_trials = 5

    def make(self):
        return made(Spectrum, every=0.3, length=0.1, scaling="spectrum", detrend="none")


class TestTimeFrequency(SometimesNotFinite):
    def make(self):
        return made(TimeFrequency, frequencies=[40, 20], n_cycles=4, every=0.02, block=0.2)


class TestTimeFrequencyOfIntegers(OfIntegers):
    n_trials = 5

    def make(self):
        return made(TimeFrequency, frequencies=[60.0], every=0.001, block=0.1, scaling="amplitude")


@pytest.mark.parametrize("missing", ["skip", "fill"])
class TestEpochAccumulator(TransformContract):
    n_samples = 1000
    n_trials = 7

    @pytest.fixture(autouse=True)
    def with_settings(self, missing) -> None:
        self.missing = missing

    def make(self):
        return made(EpochAccumulator, before=0.02, after=0.05, history=100.0, missing=self.missing)

    def inputs(self):
        signal = StreamSpec.of(">i2", shape=(-1, 2), sample_rate=1000.0, scale=(0.5, 2.0))
        return {"in": signal, "events": event_spec(1000.0, group_delay=0.01)}

    def signal(self, rng, spec):
        if spec.streamtype != "event":
            return super().signal(rng, spec)
        at = np.sort(rng.integers(0, self.n_samples, 60)).tolist()
        return event_array(Event(1_700_000_000_000_000_000 + i * 10**6, index=i, code=i % 3) for i in at)
