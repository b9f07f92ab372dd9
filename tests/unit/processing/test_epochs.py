"""Epochs: around the right sample, whichever input is ahead; what cannot be cut is told."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import AnalogTrigger, EpochAccumulator, FirFilter

from .conftest import BEGIN_NS, make_described, run_through

RATE = 1000.0
SPEC = StreamSpec(shape=(-1, 2), sample_rate=RATE, units="uV")
EVENTS = event_spec(RATE)
SECOND = 10**9


def make(signal=SPEC, events=EVENTS, **settings):
    made = EpochAccumulator(
        EpochAccumulator.settings_type.checked(**({"before": 0.01, "after": 0.02} | settings))
    )
    return made, made.describe({"in": signal, "events": events})["out"]


def samples(start, stop, begin_ns=BEGIN_NS):
    """Each sample says its own index."""
    data = np.arange(start, stop, dtype=float)[:, np.newaxis] * [1.0, -1.0]
    return Chunk(start, data, begin_ns + round(start * 1e6))


def events(*indices, first=0, begin_ns=BEGIN_NS, code=-1, **fields):
    rows = [Event(begin_ns + i * 10**6, index=i, code=code, **fields) for i in indices]
    return Chunk(first, event_array(rows), rows[0].time_ns)


def spans(chunks):
    """Number, index of the event, and the first and last samples of each epoch."""
    return [
        (c.start, int(c.data["index"][0]), c.data["data"][0, 0, 0], c.data["data"][0, -1, 0])
        for c in chunks
        if len(c)
    ]


def test_overlapping_epochs_each_have_all_their_samples():
    made, out = make()
    assert list(made.process(events(50, 55, 90), "events")) == []
    got = [*made.process(samples(0, 75), "in"), *made.process(samples(75, 200), "in")]
    assert spans(got) == [(0, 50, 40.0, 69.0), (1, 55, 45.0, 74.0), (2, 90, 80.0, 109.0)]
    np.testing.assert_array_equal(got[0].data["data"][0, :, 1], -np.arange(40.0, 70.0))
    assert got[2].data["time_ns"][0] == got[2].time_ns == BEGIN_NS + 90 * 10**6
    assert (out.np_dtype["data"].shape, out.units, out.streamtype) == ((30, 2), "uV", "event")


def test_late_events_within_the_history():
    made, _ = make(history=0.5)
    for start in range(0, 2000, 100):
        made.process(samples(start, start + 100), "in")
    assert spans(made.process(events(1500), "events")) == [(0, 1500, 1490.0, 1519.0)]


def test_an_event_that_comes_too_late_is_told_as_a_gap(caplog):
    made, _ = make(history=0.5)
    for start in range(0, 2000, 100):
        made.process(samples(start, start + 100), "in")
    with caplog.at_level(logging.WARNING):
        got = made.process(events(1000, 1100, 1800), "events")
    assert spans(got) == [(2, 1800, 1790.0, 1819.0)]
    assert caplog.text.count("left out: samples are missing, or it came too late") == 1
    (told,) = made.process(events(3, first=3), "events")
    assert (told.start, len(told)) == (4, 0)


def test_a_pending_event_holds_its_samples_back():
    """Where an earlier event waits, those behind it are not forgotten, however short the history."""
    made, _ = make(after=3.0, history=0.0)
    made.process(events(500, 100), "events")
    got = [e for start in range(0, 4000, 100) for e in made.process(samples(start, start + 100), "in")]
    assert [(number, index) for number, index, *_ in spans(got)] == [(0, 500), (1, 100)]


@pytest.mark.parametrize("missing", ["skip", "fill"])
def test_a_gap_and_the_ends_of_the_signal(missing):
    made, _ = make(missing=missing)
    made.process(events(5, 100, 115, 170, 290), "events")
    got = [*made.process(samples(0, 110), "in"), *made.gap(Gap(110, 120), "in")]
    got += [*made.process(samples(120, 300), "in"), *made.finish("in")]
    if missing == "skip":
        assert [(number, index) for number, index, *_ in spans(got)] == [(3, 170)]
        assert [c.start for c in got if not len(c)][-1] == 5
        return
    by_index = {int(c.data["index"][0]): c.data["data"][0, :, 0] for c in got if len(c)}
    for index in (5, 100, 115, 170, 290):
        wanted = np.arange(index - 10.0, index + 20.0)
        wanted[(wanted < 0) | (wanted >= 300) | ((wanted >= 110) & (wanted < 120))] = np.nan
        np.testing.assert_array_equal(by_index[index], wanted)


def test_a_long_gap_leaves_nothing_in_reach():
    made, _ = make(history=0.1)
    made.process(samples(0, 100), "in")
    made.gap(Gap(100, 10**9), "in")
    made.process(Chunk(10**9, samples(0, 100).data, BEGIN_NS + 10**9 * 10**6), "in")
    got = made.process(events(10**9 + 50), "events")
    assert spans(got) == [(0, 10**9 + 50, 40.0, 69.0)]


def test_group_delays_and_rates_are_reckoned_with():
    """Events found behind a filter cut the raw signal where they were, and that of another rate, too."""
    pulse = np.exp(-(((np.arange(1000) - 400) / 5.0) ** 2))[:, np.newaxis].repeat(2, axis=1)
    fir, filtered = make_described(FirFilter, SPEC, high=200.0, n_taps=81)
    data = run_through(fir, pulse)[1]
    # The middle of the pulse: where the slope of the filtered signal turns.
    trigger, found = make_described(AnalogTrigger, filtered, threshold=data.max() * 0.999, channels=[0])
    marks = run_through(trigger, data)[1]
    for spec, factor in ((SPEC, 1), (filtered, 1), (SPEC.replace(sample_rate=5000.0, group_delay=0.1), 5)):
        made, _ = make(spec, found, before=0.05, after=0.05)
        n = 1000 * factor
        index = np.arange(n, dtype=float)[:, np.newaxis].repeat(2, axis=1)
        assert list(made.process(Chunk(0, index, BEGIN_NS), "in")) == []
        (epoch,) = made.process(Chunk(0, marks), "events")
        wanted = factor * (400 + spec.group_delay * RATE)
        assert abs(int(epoch.data["index"][0]) - wanted) <= factor
        zero = round(0.05 * spec.sample_rate)
        assert epoch.data["data"][0, zero, 0] == epoch.data["index"][0]


def test_only_events_that_count_are_numbered():
    chunk = Chunk(0, np.concatenate([events(50, code=1).data, events(60, code=2, label="go").data]))
    for how in ({"codes": [2]}, {"labels": ["go"]}):
        made, _ = make(**how)
        made.process(samples(0, 200), "in")
        assert spans(made.process(chunk, "events")) == [(0, 60, 50.0, 79.0)]


def test_lost_events_are_lost_epochs():
    made, _ = make()
    made.process(samples(0, 200), "in")
    assert [(c.start, len(c)) for c in made.gap(Gap(0, 3), "events")] == [(3, 0)]
    assert spans(made.process(events(50, first=3), "events")) == [(3, 50, 40.0, 69.0)]


@pytest.mark.parametrize("events_first", [True, False])
def test_a_new_epoch_of_the_signal_has_its_own_events(events_first):
    """Whichever input turns first; an event of one epoch never cuts the other."""
    made, _ = make()
    later = BEGIN_NS + 60 * SECOND
    made.process(samples(0, 500), "in")
    made.process(events(100, 495), "events")
    turn = [lambda: made.finish("events"), lambda: made.process(events(120, begin_ns=later), "events")]
    got = []
    if events_first:
        for step in turn:
            got += step()
    got += made.finish("in")
    if not events_first:
        for step in turn:
            got += step()
    assert [(c.start, len(c)) for c in got if not len(c)] in ([(2, 0)], [])
    assert spans(got) == []
    got = made.process(samples(0, 200, later), "in")
    assert spans(got) == [(0, 120, 110.0, 139.0)]


def test_an_event_of_a_time_that_never_was_holds_nothing_up():
    made, _ = make()
    strange = events(100, begin_ns=BEGIN_NS + SECOND)  # a second off
    made.process(strange, "events")
    made.process(events(150, first=1), "events")
    got = [e for start in range(0, 3000, 100) for e in made.process(samples(start, start + 100), "in")]
    assert spans(got) == [(1, 150, 140.0, 169.0)]


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"before": -0.5, "after": 0.5}, ConfigurationError, "from 0.5 s to 0.5 s is empty"),
        (
            {"after": 1e7},
            ConfigurationError,
            "an epoch of .* samples in 2 channels is .* GiB: wanted at most 1",
        ),
        ({"events": SPEC}, StreamMismatch, "takes events"),
        ({"signal": EVENTS}, StreamMismatch, "takes an analogsignal"),
    ],
    ids=str,
)
def test_refusals(how, error, says):
    with pytest.raises(error, match=says):
        make(**how)


def test_an_epoch_that_lies_wholly_after_its_event():
    made, out = make(before=-0.1, after=0.13)
    made.process(samples(0, 300), "in")
    assert out.np_dtype["data"].shape == (30, 2)
    assert spans(made.process(events(50), "events")) == [(0, 50, 150.0, 179.0)]


def test_behind_a_producer_that_waits_the_signal_may_be_far_ahead():
    spec = SPEC.replace(waits=True, buffer_size=1000)
    made, _ = make(spec, history=0.0)
    for start in range(0, 3000, 100):
        made.process(samples(start, start + 100), "in")
    assert spans(made.process(events(995), "events")) == [(0, 995, 985.0, 1014.0)]


def test_events_may_come_after_the_end_of_the_signal():
    """A trigger behind a filter is later than the signal's end, which is told at once."""
    made, _ = make()
    made.process(samples(0, 200), "in")
    assert list(made.finish("in")) == []
    assert spans(made.process(events(100), "events")) == [(0, 100, 90.0, 119.0)]
    (told,) = made.process(events(190, first=1), "events")
    assert (told.start, len(told)) == (2, 0)
    assert list(made.finish("events")) == []
    made.process(events(100, first=0), "events")
    assert spans(made.process(samples(0, 200), "in")) == [(0, 100, 90.0, 119.0)]
