"""Streams side by side, against what anybody would look up by hand."""

from __future__ import annotations

import logging
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import StreamAligner

MS = 10**6
BEGIN = 1_700_000_000 * 1000 * MS
NAN = float("nan")


def spec(rate=1000.0, n_channels=1, **fields):
    return StreamSpec(**{"shape": (-1, n_channels), "sample_rate": rate, "units": "V", **fields})


def aligner(a=None, b=None, method="nearest", inputs=None, **settings):
    specs = inputs or {"a": a or spec(), "b": b or spec()}
    methods = dict(zip(specs, ["reference", *[method] * (len(specs) - 1)], strict=True))
    made = StreamAligner(StreamAligner.settings_type.checked(inputs=methods, **settings))
    return made, made.describe(specs)["out"]


def chunk(start, values, ms=None, rate=1000.0, epoch=0, uncertainty_ns=-1):
    """Samples of one or more channels; stamped ``ms`` after the beginning, or by their index."""
    data = np.array(values)
    data = data if data.ndim == 2 else data[:, np.newaxis]
    at = start * 1000 / rate if ms is None else ms
    return Chunk(start, data, BEGIN + round(at * MS), uncertainty_ns, epoch)


def rows(chunks):
    """Absolute index of each sample, and its channels."""
    return {
        c.start + k: tuple(row)
        for c in chunks
        if isinstance(c, Chunk)
        for k, row in enumerate(c.data.tolist())
    }


def feed(made, *steps):
    """Give chunks and gaps to inputs, in this order."""
    got = []
    for name, item in steps:
        got += made.gap(item, name) if isinstance(item, Gap) else made.process(item, name)
    return got


# --- where the values come from


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("nearest", {0: 10.0, 1: 10.0, 2: 10.0, 3: 20.0, 4: 20.0}),
        ("previous", {1: 10.0, 2: 10.0, 3: 10.0, 4: 10.0}),
        ("linear", {1: 12.0, 2: 14.5, 3: 17.0, 4: 19.5}),
    ],
)
def test_a_slower_stream_beside_a_faster_one(method, wanted):
    """Samples of a at 0, 1, 2, 3, 4 ms; of b at 0.2, 4.2 and 8.2 ms: before 0.2 ms, nothing is previous."""
    made, _ = aligner(b=spec(250.0), method=method)
    a, b = chunk(0, np.arange(5.0)), chunk(0, [10.0, 20.0, 30.0], 0.2, 250.0)
    got = rows(feed(made, ("a", a), ("b", b)))
    assert {k: a for k, (a, _) in got.items()} == {k: float(k) for k in wanted}
    assert {k: b for k, (_, b) in got.items()} == pytest.approx(wanted)


@given(
    method=st.sampled_from(["nearest", "previous", "linear"]),
    rate=st.sampled_from([100.0, 999.0, 1000.0, 3000.0]),
    offset_us=st.integers(-3000, 3000),
)
def test_every_method_is_what_a_plain_loop_finds(method, rate, offset_us):
    made, _ = aligner(b=spec(rate), method=method)
    a = np.arange(50.0)
    b = np.random.default_rng(0).standard_normal(round(0.05 * rate) + 1)
    got = feed(made, ("a", chunk(0, a)), ("b", chunk(0, b, offset_us / 1000, rate)))
    got += made.finish("a")
    times = [offset_us * 1000 + round(k * 1e9 / rate) for k in range(len(b))]
    wanted = {}
    for k, value in enumerate(a.tolist()):
        now, period = k * MS, 1e9 / rate
        before = max((i for i, t in enumerate(times) if t <= now), default=None)
        nearest = min(range(len(times)), key=lambda i: (abs(times[i] - now), i))
        if method == "nearest":
            if abs(times[nearest] - now) <= np.ceil(period / 2):
                wanted[k] = value, b[nearest]
        elif before is None:
            continue
        elif method == "previous":
            if before + 1 < len(b) or now - times[before] < period:
                wanted[k] = value, b[before]
        elif now == times[before]:
            wanted[k] = value, b[before]
        elif before + 1 < len(b):
            share = (now - times[before]) / (times[before + 1] - times[before])
            wanted[k] = value, b[before] + (b[before + 1] - b[before]) * share
    assert rows(got) == wanted


@given(st.data())
def test_results_do_not_depend_on_cuts_or_on_who_comes_first(data):
    rate, missing = (
        data.draw(st.sampled_from([250.0, 1000.0, 3000.0])),
        data.draw(st.sampled_from(["gap", "fill"])),
    )
    method = data.draw(st.sampled_from(["nearest", "previous", "linear"]))
    lengths, rng = {"a": 80, "b": round(0.08 * rate)}, np.random.default_rng(0)
    rates, signals = {"a": 1000.0, "b": rate}, {n: rng.standard_normal(k) for n, k in lengths.items()}
    # One gap in each, at the same place however the streams are cut.
    gaps = {n: (k // 3, k // 2) for n, k in lengths.items()}
    results = []
    for cut in (False, True):
        made, _ = aligner(b=spec(rate), method=method, missing=missing, latency=10.0)
        steps = {n: [] for n in lengths}
        for n, (lost, found) in gaps.items():
            for first, stop in ((0, lost), (found, lengths[n])):
                inner = data.draw(st.lists(st.integers(first, stop), max_size=4)) if cut else []
                edges = [first, *sorted(inner), stop]
                steps[n] += [chunk(x, signals[n][x:y], rate=rates[n]) for x, y in pairwise(edges)]
                if first == 0:
                    steps[n].append(Gap(lost, found))
        order = [n for n in steps for _ in steps[n]]
        order = data.draw(st.permutations(order)) if cut else order
        got = [c for n in order for c in feed(made, (n, steps[n].pop(0)))]
        results.append(rows([*got, *made.finish("a"), *made.finish("b")]))
    # NaN are equal here: a fill is a fill.
    assert str(results[0]) == str(results[1])


def test_a_ramp_of_time_stays_one():
    """Whatever the rates and offsets, the interpolated time of b is that of a."""
    made, _ = aligner(spec(1000.0), spec(30_000 / 7), "linear")
    got = feed(made, ("b", chunk(0, np.arange(500) * 7 / 30 + 0.123, 0.123, 30_000 / 7)),
               ("a", chunk(0, np.arange(100.0))))  # fmt: skip
    found = np.array(list(rows(got).values()))
    assert len(found) == 99  # a's first sample is before b's
    np.testing.assert_allclose(found[:, 1], found[:, 0], atol=2e-6)


def test_group_delay_is_taken_off():
    made, out = aligner(spec(group_delay=0.010), spec(group_delay=0.030))
    got = feed(made, ("a", chunk(0, np.arange(50.0))), ("b", chunk(0, np.arange(50.0))))
    assert all(b - a == 20.0 for a, b in rows(got).values())
    assert len(rows(got)) == 30
    assert out.group_delay == 0.010


def test_jitter_of_stamps_neither_repeats_nor_skips_a_sample():
    made, _ = aligner(jitter=0.005)
    rng, got = np.random.default_rng(0), []
    for k in range(0, 2000, 20):
        for name in "ab":
            ms = k + rng.uniform(-2, 2) if k else 0.2
            got += feed(made, (name, chunk(k, np.arange(k, k + 20.0), ms)))
    found = rows(got)
    assert len(found) > 1900
    assert all(a == b for a, b in found.values())


# --- what is missing


def test_a_gap_of_another_input_is_a_gap_of_the_output():
    made, _ = aligner()
    got = feed(
        made,
        ("a", chunk(0, np.arange(10.0))),
        ("b", chunk(0, np.arange(3.0))),
        ("b", Gap(3, 6)),
        ("b", chunk(6, np.arange(6.0, 10.0))),
    )
    assert rows(got) == {k: (k, k) for k in (0, 1, 2, 6, 7, 8, 9)}


def test_or_it_is_filled():
    made, out = aligner(spec(n_channels=2), missing="fill")
    got = feed(
        made,
        ("a", chunk(0, np.arange(12.0).reshape(6, 2))),
        ("b", chunk(0, [0.0, 1.0])),
        ("b", Gap(2, 4)),
        ("b", chunk(4, [4.0, 5.0])),
    )
    assert out.n_channels == 3
    found = np.concatenate([c.data for c in got])
    np.testing.assert_array_equal(found[:, :2], np.arange(12.0).reshape(6, 2))
    np.testing.assert_array_equal(found[:, 2], [0, 1, NAN, NAN, 4, 5])


def test_integers_are_filled_with_a_number():
    made, out = aligner(spec(dtype="<i2"), spec(dtype=">i2"), missing="fill", fill_value=-1)
    assert out.np_dtype == np.int16
    got = feed(made, ("b", chunk(0, [5])), ("a", chunk(0, [1, 2])), ("b", Gap(1, 9)))
    assert rows(got) == {0: (1, 5), 1: (2, -1)}
    for value, missing in ((None, "nan"), (0.5, "0.5"), (40_000, "40000")):
        with pytest.raises(ConfigurationError, match=f"fill_value={missing} does not fit the output's int16"):
            aligner(spec(dtype="<i2"), spec(dtype="<i2"), missing="fill", fill_value=value)


def test_a_gap_of_the_reference_is_told_even_if_nothing_follows():
    made, _ = aligner()
    got = feed(made, ("a", chunk(0, [0.0])), ("a", Gap(1, 50)), ("b", chunk(0, np.arange(3.0))))
    assert [(c.start, len(c)) for c in got] == [(0, 1), (1, 49)]
    assert got[1] == Gap(1, 50)


def test_a_gap_at_the_end_of_another_input_is_told_as_well():
    made, _ = aligner()
    got = feed(made, ("a", chunk(0, np.arange(5.0))), ("b", chunk(0, np.arange(2.0))), ("b", Gap(2, 1000)))
    assert [(c.start, len(c)) for c in got] == [(0, 2), (2, 3)]
    assert got[1] == Gap(2, 5, reason="unaligned")


@pytest.mark.parametrize("method", ["nearest", "previous", "linear"])
def test_nothing_is_taken_across_a_gap(method):
    made, _ = aligner(b=spec(100.0), method=method)
    got = feed(
        made,
        ("a", chunk(0, np.arange(100.0))),
        ("b", chunk(0, [0.0, 1.0], 0, 100.0)),
        ("b", Gap(2, 8)),
        ("b", chunk(8, [8.0, 9.0], 80, 100.0)),
        ("b", chunk(10, [10.0], 100, 100.0)),
    )
    reach = {"nearest": (15, 75), "previous": (19, 80), "linear": (10, 80)}[method]
    assert sorted(rows(got)) == [k for k in range(100) if k <= reach[0] or k >= reach[1]]


def test_tolerance_is_kept_to():
    made, _ = aligner(b=spec(100.0), tolerance=0.002)
    got = feed(made, ("a", chunk(0, np.arange(21.0))), ("b", chunk(0, [0.0, 10.0, 20.0], 0, 100.0)))
    assert sorted(rows(got)) == [0, 1, 2, 8, 9, 10, 11, 12, 18, 19, 20]


def test_nan_is_a_value():
    made, _ = aligner(b=spec(500.0), method="linear")
    got = feed(made, ("a", chunk(0, np.arange(7.0))), ("b", chunk(0, [0.0, NAN, 4.0, 6.0], 0, 500.0)))
    np.testing.assert_array_equal(
        [b for _, b in rows(got).values()], [0, NAN, NAN, NAN, 4, 5, 6]
    )  # at 0 ms b is known, whatever comes after it


# --- waiting


def test_an_input_that_stalls_is_waited_for_so_long(caplog):
    made, _ = aligner(latency=0.1)
    feed(made, ("b", chunk(0, np.arange(10.0))))
    with caplog.at_level(logging.WARNING):
        got = feed(made, ("a", chunk(0, np.arange(100.0))))
        assert sorted(rows(got)) == list(range(10))
        assert not caplog.records
        got = feed(made, ("a", chunk(100, np.arange(100.0, 150.0))), ("a", chunk(150, [150.0])))
    assert got == [Gap(10, 50, reason="unaligned"), Gap(50, 51, reason="unaligned")]
    assert ["'b' lags by more than latency=0.1 s" in r.getMessage() for r in caplog.records] == [True]
    got = feed(made, ("b", chunk(10, np.arange(10.0, 151.0))))  # it was late, and is there again
    assert sorted(rows(got)) == list(range(51, 151))


def test_a_reference_that_lags_is_told_of(caplog):
    made, _ = aligner(latency=0.1)
    feed(made, ("b", chunk(0, np.arange(1000.0))))
    with caplog.at_level(logging.WARNING):
        got = feed(made, ("a", chunk(0, np.arange(10.0))))
    assert "'a' lags" in caplog.text
    assert rows(got) == {}


def test_memory_is_bounded_by_the_latency():
    made, _ = aligner(latency=0.1, method="linear")
    for k in range(0, 5000, 50):
        made.process(chunk(k, np.arange(k, k + 50.0)), "b")
    assert len(made._tracks["b"]._times) <= 150
    made, _ = aligner(latency=0.1)
    for k in range(0, 5000, 50):
        made.process(chunk(k, np.arange(k, k + 50.0)), "a")
    assert len(made._waiting) <= 3


def test_what_waits_is_a_copy():
    made, _ = aligner()
    a, b = chunk(0, [1.0, 2.0]), chunk(0, [3.0, 4.0])
    made.process(a, "a")
    a.data[:] = -1
    assert rows(made.process(b, "b")) == {0: (1.0, 3.0), 1: (2.0, 4.0)}


def test_another_epoch_of_an_input_is_one_more_gap():
    made, _ = aligner()
    got = feed(made, ("b", chunk(0, [0.0, 1.0])), ("a", chunk(0, np.arange(8.0))))
    got += made.finish("b")
    got += feed(made, ("b", chunk(0, [105.0, 106.0, 107.0], 5, epoch=1)))
    assert rows(got) == {0: (0, 0), 1: (1, 1), 5: (5, 105), 6: (6, 106), 7: (7, 107)}


def test_another_epoch_of_the_reference_counts_anew():
    made, _ = aligner()
    feed(made, ("a", chunk(0, [0.0, 1.0])), ("b", chunk(0, np.arange(1.0))))
    rest = made.finish("a")
    assert rest == [Gap(1, 2, reason="unaligned")]
    got = feed(made, ("b", chunk(1, np.arange(1.0, 9.0))), ("a", chunk(0, [5.0, 6.0], 5, epoch=1)))
    assert [(c.start, c.epoch) for c in got] == [(0, 1)]
    assert rows(got) == {0: (5.0, 5.0), 1: (6.0, 6.0)}


def test_times_and_uncertainty_are_those_of_the_reference():
    made, _ = aligner()
    feed(made, ("b", chunk(0, np.arange(50.0), 0.3)))
    got = feed(made, ("a", chunk(10, np.arange(10.0, 20.0), 10, uncertainty_ns=777)))
    assert [(c.start, c.time_ns, c.uncertainty_ns) for c in got] == [(10, BEGIN + 10 * MS, 777)]


# --- what goes together


def test_names_are_prefixed_where_they_collide():
    named = spec(n_channels=2, channel_names=("x", "y"))
    assert aligner(named, spec(channel_names=("z",)))[1].names == ("x", "y", "z")
    assert aligner(named, spec(channel_names=("x",)))[1].names == ("a.x", "a.y", "b.x")
    assert aligner()[1].names == ("a.0", "b.0")


def test_the_output_is_a_stream_like_the_reference():
    a = spec(n_channels=2, dtype="<f4", buffer_size=777, group_delay=0.5, scale=2.0)
    _, out = aligner(a, spec(10.0, dtype="<i2", scale=2.0))
    assert out == a.replace(shape=(-1, 3), channel_names=("a.0", "a.1", "b.0"), dtype="<f4")
    _, out = aligner(spec(dtype="<i2"), spec(dtype="<u2"))
    assert out.np_dtype == np.int32
    _, out = aligner(spec(dtype="<i2"), spec(dtype="<i2"), "linear")
    assert out.np_dtype == np.float64


def test_each_channel_keeps_its_scale():
    a, b = spec(dtype="<i2", scale=0.5), spec(n_channels=2, dtype="<i4", scale=(2.0, 3.0))
    made, out = aligner(a, b)
    assert (out.scale, out.offset) == ((0.5, 2.0, 3.0), 0.0)
    assert rows(feed(made, ("a", chunk(0, [10])), ("b", chunk(0, [[10, 20]])))) == {0: (10, 10, 20)}
    _, out = aligner(spec(scale=2.0, offset=1.0), spec(scale=2.0, offset=-1.0))
    assert (out.scale, out.offset) == (2.0, (1.0, -1.0))


def test_a_latency_shorter_than_a_sample_is_refused():
    with pytest.raises(ConfigurationError, match=r"latency=1 s is too short .* 'b', at 0\.5 Hz: .* than 2 s"):
        aligner(b=spec(0.5), method="linear")
    aligner(b=spec(0.5), method="linear", latency=3.0)


def test_physical_values_need_no_scale():
    a, b = spec(dtype="<i2", scale=0.5, offset=1.0), spec(n_channels=2, dtype="<i4", scale=(2.0, 3.0))
    made, out = aligner(a, b, physical=True)
    assert (out.np_dtype, out.scale, out.offset, out.units) == (np.float64, 1.0, 0.0, "V")
    got = feed(made, ("a", chunk(0, [10])), ("b", chunk(0, [[10, 20]])))
    assert rows(got) == {0: (6.0, 20.0, 60.0)}


@pytest.mark.parametrize(
    ("b", "says"),
    [
        (spec(units="mV"), "input 'a' has units 'V', but input 'b' has 'mV'"),
        (spec(streamtype="event"), "'b' is a stream of events, which come at no rate"),
        (spec(streamtype="digitalsignal"), "streamtype 'analogsignal', but input 'b' has 'digitalsignal'"),
        (spec(streamtype="video", shape=(-1, 4, 4, 3)), "input 'b' is: video"),
        (spec(streamtype="image", shape=(-1, 4)), "input 'b' is: image"),
        (spec(shape=(-1,)), "real numbers in channels"),
        (spec(dtype="<c8"), "real numbers in channels"),
        (spec(dtype="<i8"), "not every int64 of input 'b' is a float64"),
    ],
)
def test_what_does_not_go_together_is_refused(b, says):
    with pytest.raises(StreamMismatch, match=says):
        aligner(spec(), b)


def test_lines_between_states_or_large_integers_are_refused():
    digital = spec(streamtype="digitalsignal", dtype="?")
    assert aligner(digital, digital)[1].np_dtype == np.bool_
    with pytest.raises(StreamMismatch, match="nothing between two samples"):
        aligner(digital, digital, "linear")
    with pytest.raises(StreamMismatch, match=r"'b' is int64, .* 'linear' needs"):
        aligner(spec(dtype="<i8"), spec(dtype="<i8"), "linear")


@pytest.mark.parametrize(
    "inputs",
    [
        {"a": "reference"},
        {"a": "nearest", "b": "reference"},
        {"a": "reference", "b": "reference"},
        {"a": "reference", "b": "cubic"},
    ],
)
def test_one_input_is_the_reference(inputs):
    with pytest.raises(ConfigurationError, match="inputs"):
        StreamAligner.settings_type.checked(inputs=inputs)


def test_gaps_say_why() -> None:
    made, _ = aligner()
    lost = Gap(4, 6, reason="overrun")
    got = feed(
        made,
        ("b", chunk(0, [0.0, 1.0])),
        ("b", Gap(2, 3)),
        ("b", chunk(3, np.arange(3.0, 10.0))),
        ("a", chunk(0, np.arange(4.0))),
        ("a", lost),
        ("a", chunk(6, np.arange(6.0, 8.0))),
    )
    got += made.finish("a")
    assert [item for item in got if isinstance(item, Gap)] == [Gap(2, 3, reason="unaligned"), lost]
    assert sorted(rows(got)) == [0, 1, 3, 6, 7]


def test_a_method_that_is_none_is_refused_by_one_sentence() -> None:
    with pytest.raises(ConfigurationError) as refused:
        StreamAligner.settings_type.checked(inputs={"a": "reference", "b": "cubic"})
    assert str(refused.value).count("inputs.b") == 2  # what came, and what it is for
    assert "inputs.b='cubic': Input should be 'reference', 'nearest', 'previous' or 'linear'" in str(
        refused.value
    )
