"""A run with all that an export must not lose: two rates, a scale, a gap, names, events, a second start."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run
from pyacq_lab.testing import ManualClock

RAW = (np.arange(60, dtype="<i2").reshape(20, 3) * 100) - 2000
FLOATS = np.linspace(-1, 1, 40, dtype="<f4").reshape(20, 2)
INTS_SPEC = StreamSpec.of(
    "<i2",
    shape=(-1, 3),
    sample_rate=10.0,
    units="mV",
    scale=0.5,
    offset=1.0,
    channel_names=["x", "y", "z"],
)
FLOATS_SPEC = StreamSpec.of("<f4", shape=(-1, 2), sample_rate=20.0, units="V")


@pytest.fixture
def clock():
    clock = ManualClock()
    clock.advance(2.0)
    return clock


@pytest.fixture
def record(tmp_path, clock):
    """Record ``{name: (spec, chunks and gaps)}`` for each start."""

    def record(*starts):
        recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "run")))
        recorder.clock = clock
        for streams in starts:
            recorder.open({name: spec for name, (spec, _) in streams.items()})
            for name, (_, items) in streams.items():
                for item in items:
                    (recorder.gap if isinstance(item, Gap) else recorder.write)(item, name)
            recorder.close()
        return open_run(tmp_path / "run")

    return record


@pytest.fixture
def now(clock):
    """Time of the first samples: half a second after the run's start, ns."""
    return clock.now_ns() + 500_000_000


@pytest.fixture
def events(now):
    return [
        Event(now, index=100, label="go"),
        Event(now + 700_000_000, index=107, duration=5, channel=1, code=7, label="µ-wave"),
    ]


@pytest.fixture
def untimed_marks(events, now):
    """One event more, of which nobody knows when it was."""
    return event_spec(10.0), [Chunk(0, event_array([*events, Event(0, label="when?")]), time_ns=now)]


@pytest.fixture
def ints(now):
    """Without a gap."""
    return INTS_SPEC, [Chunk(100, RAW, time_ns=now, uncertainty_ns=1000)]


@pytest.fixture
def gapped(now):
    """Samples [105, 110) never came."""
    return INTS_SPEC, [
        Chunk(100, RAW[:5], time_ns=now, uncertainty_ns=1000),
        Gap(105, 110, reason="overrun"),
        Chunk(110, RAW[10:], time_ns=now + 10**9),
    ]


@pytest.fixture
def floats(now):
    return FLOATS_SPEC, [Chunk(0, FLOATS, time_ns=now + 250_000_000, uncertainty_ns=500)]


@pytest.fixture
def marks(events, now):
    return event_spec(10.0), [Chunk(0, event_array(events), time_ns=now)]
