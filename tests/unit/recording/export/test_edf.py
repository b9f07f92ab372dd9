"""EDF+ and BDF+: read back by pyedflib, which refuses what is not by the letter, by edfio, MNE and Replay."""

from __future__ import annotations

import warnings
from fractions import Fraction

import edfio
import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.devices.recordings import load_file
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export import ExportWarning, edf, edf_file

from .conftest import FLOATS, FLOATS_SPEC, INTS_SPEC, RAW

KINDS = pytest.mark.parametrize("kind", ["edf", "bdf"])
READERS = {"edf": edfio.read_edf, "bdf": edfio.read_bdf}


def read_strictly(path):
    """Headers, digital samples and annotations by EDFlib."""
    with pyedflib.EdfReader(str(path)) as reader:
        samples = [reader.readSignal(i, digital=True) for i in range(reader.signals_in_file)]
        onsets, durations, texts = reader.readAnnotations()
        notes = list(zip(texts.tolist(), onsets.tolist(), durations.tolist(), strict=True))
        return reader.getSignalHeaders(), samples, notes


def physical(track):
    """Values of a replayed recording, NaN in its gaps."""
    values = track.spec().to_physical(track.data[:])
    for start, stop in track.gaps:
        values[start:stop] = np.nan
    return values


@KINDS
def test_integers_are_kept(record, ints, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(edf, "BLOCK_NBYTES", 1)
    run = record({"i": ints})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = run.export(tmp_path / f"x.{kind}")
    heads, samples, notes = read_strictly(path)
    np.testing.assert_array_equal(np.stack(samples, axis=1), RAW)
    assert [(h["label"], h["dimension"], h["sample_frequency"]) for h in heads] == [
        (name, "mV", 10.0) for name in "xyz"
    ]
    assert notes == []
    read = READERS[kind](path)
    np.testing.assert_allclose(np.stack([s.data for s in read.signals], axis=1), RAW * 0.5 + 1.0, rtol=1e-12)
    assert read.startdate == run.started.date()
    assert read.starttime == run.started.replace(microsecond=500_000).time()
    track = load_file(str(path), None)["out"]
    np.testing.assert_array_equal(track.data, RAW)
    assert (track.units, track.channel_names, track.sample_rate) == ("mV", ("x", "y", "z"), 10.0)
    np.testing.assert_allclose(physical(track), RAW * 0.5 + 1.0, rtol=1e-12)


@KINDS
def test_rates_delays_gaps_and_events_together(record, gapped, floats, marks, tmp_path, kind):
    run = record({"i": gapped, "fast/f": floats, "marks": marks})
    with pytest.warns(ExportWarning) as told:
        path = run.export(tmp_path / f"x.{kind}")
    texts = [str(w.message) for w in told]
    assert any("'fast/f'" in text and "rounded to steps of" in text for text in texts)
    assert any(
        "'marks': EDF holds time, duration and text of an event; its channel, code" in t for t in texts
    )
    _, _, notes = read_strictly(path)
    assert notes == [
        ("go", 0.0, 0.0),
        ("BAD_ACQ_SKIP fast/f: not recorded", 0.0, 0.25),
        ("BAD_ACQ_SKIP i: overrun", 0.5, 0.5),
        ("µ-wave", 0.7, 0.5),
        ("BAD_ACQ_SKIP fast/f: not recorded", 1.25, 0.75),
    ]
    assert [(a.text, a.onset) for a in READERS[kind](path).annotations] == [(t, o) for t, o, _ in notes]
    tracks = load_file(str(path), None)
    assert list(tracks) == ["i", "fast_f", "events"]
    assert tracks["i"].gaps == ((5, 10),)
    np.testing.assert_array_equal(tracks["i"].data[10:], RAW[10:])
    assert tracks["fast_f"].delay_ns == 250_000_000
    step = 2 / (2**16 if kind == "edf" else 2**24)
    np.testing.assert_allclose(physical(tracks["fast_f"]), FLOATS, atol=step * 1.01)
    assert np.abs(physical(tracks["fast_f"]) - FLOATS).max() > step / 1000
    assert [(e.time_ns, e.label) for e in tracks["events"].events] == [(0, "go"), (700_000_000, "µ-wave")]


def test_mne_reads_it_and_leaves_out_what_is_missing(record, gapped, floats, tmp_path):
    import mne  # here, as it is large

    path = record({"i": gapped, "f": floats}).export(tmp_path / "x.edf", streams="i")
    raw = mne.io.read_raw_edf(path, verbose="error")
    assert (raw.ch_names, raw.info["sfreq"]) == (["x", "y", "z"], 10.0)
    kept = raw.get_data(reject_by_annotation="omit", units="mV", verbose="error")
    np.testing.assert_allclose(kept.T, np.delete(RAW, range(5, 10), axis=0) * 0.5 + 1.0)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", ">i2"])
@KINDS
def test_integers_that_fit_are_exact(record, now, tmp_path, kind, dtype):
    most = 1 if dtype == "?" else np.iinfo(dtype).max
    largest = min(2**20 if kind == "bdf" else 30_000, most)
    data = np.array([[0, 1], [largest, 0], [1, 1]]).astype(dtype)
    if data.dtype.kind == "u" and data.dtype.itemsize > 2:
        data += np.array(2**31, dtype)  # far off, but not far apart
    spec = StreamSpec.of(dtype, shape=(-1, 2), sample_rate=3.0)
    run = record({"x": (spec, [Chunk(0, data, time_ns=now)])})
    if data.max() > 10**8:
        with pytest.raises(ConfigurationError, match=r"8 characters for a number, too few for .*Rescale"):
            run.export(tmp_path / f"x.{kind}")
        return
    path = run.export(tmp_path / f"x.{kind}")
    track = load_file(str(path), None)["out"]
    np.testing.assert_allclose(physical(track), data.astype(float), rtol=1e-12, atol=1e-9)


def test_integers_too_far_apart_are_quantised_and_say_so(record, now, tmp_path):
    data = np.array([[0], [2_000_000], [-5]], "<i4")
    spec = StreamSpec.of("<i4", shape=(-1, 1), sample_rate=3.0, units="adu")
    run = record({"x": (spec, [Chunk(0, data, time_ns=now)])})
    with pytest.warns(ExportWarning, match=r"steps of 30\.\d adu; BDF has finer ones"):
        run.export(tmp_path / "x.edf")
    got = physical(load_file(str(tmp_path / "x.edf"), None)["out"])
    np.testing.assert_allclose(got, data, atol=15.5)


def test_volts_become_microvolts_where_the_header_has_no_room(record, now, tmp_path):
    data = np.array([[1.25e-5], [-2.5e-5], [np.nan], [0.0]])
    spec = StreamSpec.of("<f8", shape=(-1, 1), sample_rate=4.0, units="V")
    run = record({"eeg": (spec, [Chunk(0, data, time_ns=now)])})
    with pytest.warns(ExportWarning) as told:
        run.export(tmp_path / "x.bdf")
    wanted = "1 samples of NaN are written as the lowest digital value, -8388608"
    assert any(wanted in str(w.message) for w in told)
    track = load_file(str(tmp_path / "x.bdf"), None)["out"]
    assert track.units == "uV"
    np.testing.assert_allclose(physical(track)[[0, 1, 3]], data[[0, 1, 3]] * 1e6, atol=1e-5)
    assert track.data[2, 0] == -(2**23)


def test_a_scale_of_too_many_digits_is_told(record, tmp_path, now):
    spec = INTS_SPEC.replace(scale=0.123456789, offset=100_000.0)
    run = record({"x": (spec, [Chunk(0, RAW, time_ns=now)])})
    with pytest.warns(ExportWarning, match=r"8 characters for a scale, .* wrong by up to 0\.\d+ of"):
        run.export(tmp_path / "x.edf")


def test_an_event_on_every_tick_and_long_texts(record, clock, tmp_path):
    """More annotations than records, longer than EDFlib writes them, to 100 ns."""
    clock.advance(0.0314159)
    now = clock.now_ns() + 271_828_100
    ints = INTS_SPEC, [Chunk(100, RAW, time_ns=now)]
    marks = [Event(now + 123_456_700 + i * 1000, label=f"{i} " + "µ" * 29) for i in range(200)]
    run = record({"i": ints, "m": (event_spec(10.0), [Chunk(0, event_array(marks), time_ns=now)])})
    _, _, notes = read_strictly(run.export(tmp_path / "x.edf"))
    assert [text for text, _, _ in notes] == [e.label for e in marks]
    wanted = [(event.time_ns - now) / 1e9 for event in marks]
    np.testing.assert_allclose([onset for _, onset, _ in notes], wanted, atol=1e-9)


def test_names_fit_the_header_and_differ(record, now, tmp_path):
    long = FLOATS_SPEC.replace(channel_names=("electrode number 1", "electrode number 2"), units="µV")
    chunks = [Chunk(0, FLOATS, time_ns=now)]
    run = record({"é": (long, chunks), "b": (FLOATS_SPEC, chunks), "c": (FLOATS_SPEC, chunks)})
    with pytest.warns(ExportWarning) as told:
        path = run.export(tmp_path / "x.edf")
    assert any("'b': channel names in EDF are 16 characters of ASCII" in str(w.message) for w in told)
    heads, _, _ = read_strictly(path)
    labels = [head["label"] for head in heads]
    assert len(set(labels)) == 6
    assert all(len(label) <= 16 for label in labels)
    assert heads[0]["dimension"] == "uV"


@pytest.mark.filterwarnings("ignore::pyacq_lab.recording.export.ExportWarning")
def test_what_it_cannot_hold_is_refused(record, floats, marks, now, tmp_path):
    video = StreamSpec.of("u1", streamtype="video", shape=(-1, 4, 5, 3), sample_rate=10.0)
    odd = FLOATS_SPEC.replace(sample_rate=np.pi)
    slow = FLOATS_SPEC.replace(sample_rate=1 / 61)
    infinite = np.array([[np.inf, 0.0]], "<f4")
    tiny = FLOATS_SPEC.replace(units="au")
    streams = {
        "f": floats,
        "v": (video, [Chunk(0, np.zeros((2, 4, 5, 3), "u1"))]),
        "odd": (odd, [Chunk(0, FLOATS, time_ns=now)]),
        "slow": (slow, [Chunk(0, FLOATS, time_ns=now)]),
        "inf": (FLOATS_SPEC, [Chunk(0, infinite, time_ns=now)]),
        "tiny": (tiny, [Chunk(0, FLOATS * np.float32(1e-9), time_ns=now)]),
        "marks": marks,
    }
    run = record(streams, {"f": floats})
    for name, says in {
        "v": "EDF cannot hold .*'v'",
        "odd": "which EDF cannot state exactly",
        "slow": "no record of EDF, 60 s at most",
        "inf": "infinite samples",
        "tiny": "too small, or too alike, for the 8 characters",
        "marks": "events only",
        "f": r"one start of a stream, 'f' has several: choose with segment=i",
    }.items():
        with pytest.raises(ConfigurationError, match=says):
            run.export(tmp_path / "x.edf", streams=name)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


RATES = st.sampled_from([0.1, 1, 100, 250, 256, 512.5, 1000, 30_000, 44_100])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(RATES, st.integers(1, 2)), min_size=1, max_size=2))
def test_records_hold_whole_samples(rates):
    exact = [(edf_file.exact_rate(rate, "x"), n) for rate, n in rates]
    duration = edf_file.record_duration(exact, 3)
    assert all((rate * duration).denominator == 1 for rate, _ in exact)
    assert Fraction(edf_file.decimal(duration)) == duration
    assert len(edf_file.decimal(duration)) <= 8
    assert Fraction(1, 1000) <= duration <= 60


def test_records_that_readers_refuse_are_refused():
    rates = [(Fraction(1, 10), 1), (Fraction(30_000), 20)]
    with pytest.raises(ConfigurationError, match=r"0\.1 Hz, 30000 Hz has 12\.0 MB"):
        edf_file.record_duration(rates, 2)


@settings(max_examples=100, deadline=None)
@given(st.floats(-9_999_999, 99_999_999, allow_subnormal=False))
def test_numbers_fit_and_are_rounded_as_asked(value):
    low, near, high = (edf_file.number(value, way) for way in (-1, 0, 1))
    assert max(map(len, (low, near, high))) <= 8
    assert float(low) <= value <= float(high)
    assert abs(float(near) - value) <= max(1e-6, abs(value) * 1e-5, 0.5)
