"""Reading runs: labels, times, gaps, and what is refused."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, MissingDependency, RecordingError, SamplesGone, UnknownName
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run
from pyacq_lab.recording.manifest import JOURNAL, stream_folder
from pyacq_lab.recording.rows import ArrayReader
from pyacq_lab.recording.shard import empty_index, encode_index, read_index
from pyacq_lab.testing import ManualClock

RAW = np.arange(60, dtype="<i2").reshape(20, 3)


@pytest.fixture
def run(tmp_path):
    """One stream of integers with a scale and a gap; started twice another of floats; one without samples."""
    clock = ManualClock()
    recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "run")))
    recorder.clock = clock
    ints = StreamSpec.of(
        "<i2",
        shape=(-1, 3),
        sample_rate=10.0,
        units="mV",
        scale=0.5,
        offset=1.0,
        channel_names=["x", "y", "z"],
    )
    floats = StreamSpec.of("<f4", shape=(-1, 1), sample_rate=10.0)
    clock.advance(2.0)
    recorder.open({"ints": ints, "floats": floats, "none": floats})
    now = clock.now_ns() + 500_000_000
    recorder.write(Chunk(100, RAW[:5], time_ns=now, uncertainty_ns=1000), "ints")
    recorder.gap(Gap(105, 110), "ints")
    recorder.write(Chunk(110, RAW[10:], time_ns=now + 10**9), "ints")
    recorder.write(Chunk(0, np.ones((4, 1), "f4")), "floats")
    recorder.close()
    recorder.open({"floats": floats})
    recorder.write(Chunk(0, np.zeros((2, 1), "f4")), "floats")
    recorder.close()
    return open_run(tmp_path / "run")


def test_labels(run):
    signal = run["ints"]
    assert (signal.units, signal.sample_rate, signal.channel_names) == ("mV", 10.0, ("x", "y", "z"))
    assert (signal.start, signal.stop, len(signal), signal.duration) == (100, 120, 20, 2.0)
    assert signal.uncertainty == 1e-6
    assert np.isnan(run["floats", 0].uncertainty)


def test_data_is_in_units_with_nan_in_gaps(run):
    wanted = RAW * 0.5 + 1.0
    wanted[5:10] = np.nan
    np.testing.assert_array_equal(run["ints"].data, wanted)
    np.testing.assert_array_equal(run["ints"][103:112], wanted[3:12])
    np.testing.assert_array_equal(run["ints"][:101], wanted[:1])
    assert run["ints"][110:110].shape == (0, 3)


def test_raw_is_what_was_written(run):
    got = run["ints"].raw(110, 120)
    np.testing.assert_array_equal(got, RAW[10:])
    assert got.dtype == np.dtype("<i2")
    assert run["floats", 0].data.dtype == np.float32


def test_masked(run):
    got = run["ints"].masked(104, 111)
    assert got.dtype == np.dtype("<i2")
    np.testing.assert_array_equal(got.mask[:, 0], [False, *[True] * 5, False])
    np.testing.assert_array_equal(got.compressed(), np.concatenate([RAW[4], RAW[10]]))


def test_times_count_from_the_start_of_the_run(run):
    np.testing.assert_allclose(run["ints"].times, 0.5 + np.arange(20) / 10, rtol=1e-12)
    np.testing.assert_allclose(run["floats", 0].times, np.arange(4) / 10)


def test_several_starts_are_never_joined(run):
    with pytest.raises(
        UnknownName, match=r"'floats' was started 2 times: choose one with run\['floats', i\]"
    ):
        run["floats"]
    assert [len(s) for s in run.segments("floats")] == [4, 2]
    assert len(run["floats", -1]) == 2
    with pytest.raises(UnknownName, match="has segments 0 to 1, not 2"):
        run["floats", 2]


def test_names(run):
    assert run.streams == tuple(run) == ("ints", "floats", "none")
    assert "ints" in run
    assert len(run) == 3
    with pytest.raises(UnknownName, match=r"holds no stream 'ecg' \(it holds: ints, floats, none"):
        run["ecg"]


def test_a_stream_of_which_nothing_came_is_empty(run):
    signal = run["none"]
    assert (len(signal), signal.gaps, signal.duration) == (0, (), 0.0)
    assert signal[:].shape == signal.raw().shape == (0, 1)
    assert signal.times.shape == (0,)
    assert signal.index_at(1.0) == 0
    assert "[0, 0)" in repr(signal)
    assert run.segments("none") == ()
    with pytest.raises(UnknownName, match="'none' has segments 0 to 0, not 1"):
        run["none", 1]


@pytest.mark.parametrize(
    "index", [slice(99, 110), slice(100, 121), slice(110, 105), slice(100, 110, 2), slice(-5, None)]
)
def test_what_was_not_recorded_is_refused(run, index):
    with pytest.raises(SamplesGone, match=r"recorded are \[100, 120\)"):
        run["ints"][index]


def test_it_shows_itself(run):
    assert repr(run) == "<Run 'run': 2023-11-14 22:13:22 UTC, stopped, ints, floats, none>"
    assert repr(run["ints"]) == (
        "<Signal 'ints': [100, 120), 3 of int16 in mV, 2.000 s at 10 Hz, 5 samples lost in 1 gap(s)>"
    )
    assert run._repr_html_().count("<tr>") == 4
    assert "no gap" in run["floats", 0]._repr_html_()


def test_without_xarray_it_says_how_to_get_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[xarray\]'"):
        run["ints"].to_xarray()


def test_samples_are_found_by_time(run):
    signal = run["ints"]  # from 0.5 s on, ten a second
    assert [signal.index_at(t) for t in (-1.0, 0.0, 0.5, 0.51, 0.6, 2.4, 2.41, 9.0)] == [
        *(100, 100, 100, 101, 101, 119, 120, 120),
    ]
    for index, time in enumerate(signal.times, signal.start):
        assert signal.index_at(time) == index
    np.testing.assert_array_equal(signal.between(0.5, 0.8), signal[100:103])
    np.testing.assert_array_equal(signal.between(1.45, 99.0), signal[110:120])
    assert signal.between(5.0, 3.0).shape == (0, 3)


def test_to_xarray_reads_only_what_is_asked_for(run, monkeypatch):
    xarray = pytest.importorskip("xarray")
    signal = run["ints"]
    asked = []
    monkeypatch.setattr(ArrayReader, "read", reading_noted(asked))
    array = signal.to_xarray()
    assert isinstance(array, xarray.DataArray)
    assert (array.dims, array.shape, array.dtype) == (("time", "channel"), (20, 3), np.dtype("f8"))
    assert array.attrs["units"] == "mV"
    assert asked == [(0, 0)]  # for the type
    repr(array)
    window = array.sel(channel="y", time=slice(0.7, 1.0))
    np.testing.assert_allclose(window["time"], [0.7, 0.8, 0.9])
    assert asked == [(0, 0)]
    np.testing.assert_array_equal(window.values, signal[102:105][:, 1])
    assert asked[1:] == [(2, 5), (2, 5)]
    np.testing.assert_array_equal(array.values, signal[:])
    np.testing.assert_array_equal(array.isel(time=3).values, signal[103:104][0])
    np.testing.assert_array_equal(array.isel(time=[1, 12], channel=0).values, signal[:][[1, 12], 0])
    np.testing.assert_array_equal(array.isel(time=slice(3, 9))[::2].values, signal[103:109][::2])
    np.testing.assert_array_equal(array.sel(time=1.52, method="nearest").values, signal[110:111][0])
    assert array.sel(time=slice(None, 0.75)).sel(time=slice(0.55, None)).sizes["time"] == 2


def reading_noted(asked):
    read = ArrayReader.read

    def noted(self, start, stop, is_gap):
        asked.append((start, stop))
        return read(self, start, stop, is_gap)

    return noted


def test_a_run_as_a_tree_of_xarray(run):
    pytest.importorskip("xarray")
    tree = run.to_xarray()
    assert set(tree.children) == {"ints", "floats"}
    np.testing.assert_array_equal(tree["floats/1"]["samples"].values, run["floats", 1][:])
    np.testing.assert_array_equal(tree["ints"]["samples"].values, run["ints"][:])


def test_a_line_that_is_being_written_is_left_out(run):
    journal = run["ints"].folder / JOURNAL
    with journal.open("ab") as file:
        file.write(b'{"kind":"gap","start":1')
    assert run["ints"].gaps == (Gap(105, 110),)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("run.json", "{", "run.json is damaged"),
        ("run.json", '{"format": "pyacq_lab run", "version": 2, "streams": 3}', "run.json is damaged"),
        (
            "run.json",
            '{"format": "pyacq_lab run", "version": 99}',
            "version 99; this software reads .*version 2",
        ),
        ("run.json", '{"format": "another"}', "of format 'another'"),
        ("run.json", None, "is not a run folder"),
        ("streams/ints/0/c/0/0", "short", "is cut short"),
        ("streams/ints/0/c/0/0", None, "is missing"),
        ("streams/ints/0/journal.jsonl", "what\n", "journal.jsonl is damaged"),
    ],
)
def test_damage_is_named(run, name, content, says):
    path = run.path / name
    path.unlink()
    if content is not None:
        path.write_text(content)

    def read_all():
        signal = open_run(run.path)["ints"]
        return signal.data, signal.sample_times

    with pytest.raises(RecordingError, match=says):
        read_all()


def test_an_index_that_is_read_while_it_is_written_is_read_again():
    """A system may hand out half of a page that is being written."""
    old, new = empty_index(3), empty_index(3)
    new[0] = 4096, 100
    half = encode_index(new)[:16] + encode_index(old)[16:]

    class Path:
        def __init__(self, *contents):
            self.contents = iter(contents)

        def open(self, mode):
            return io.BytesIO(next(self.contents))

    assert read_index(Path(half, encode_index(new)), 3).tolist() == new.tolist()
    with pytest.raises(RecordingError, match="damaged index"):
        read_index(Path(half, half), 3)


def test_no_run_folder(tmp_path):
    with pytest.raises(RecordingError, match="is not a run folder"):
        open_run(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["ecg", "node.out", "a/b", "..", ".", "µ %", "C:\\x"])
def test_any_name_makes_a_folder_below_the_run(tmp_path, name):
    folder = (tmp_path / stream_folder(name)).resolve()
    assert folder.parent == tmp_path / "streams"


def test_names_do_not_meet():
    names = ["a/b", "a%2Fb", "a b", ".", "..", "%2E"]
    assert len({stream_folder(name) for name in names}) == len(names)


def test_one_sample_is_read_by_its_absolute_index(run):
    signal = run["ints"]
    np.testing.assert_array_equal(signal[103], RAW[3] * 0.5 + 1.0)
    assert np.isnan(signal[105]).all()
    assert signal[103, 1] == RAW[3, 1] * 0.5 + 1.0
    np.testing.assert_array_equal(signal[100:103, 1:], RAW[:3, 1:] * 0.5 + 1.0)
    assert signal.time_at(103) == signal.times[3]
    assert signal.index_at(signal.time_at(103)) == 103
    for index in (99, -1, 120):
        with pytest.raises(SamplesGone, match=r"recorded are \[100, 120\)"):
            signal[index]
        with pytest.raises(SamplesGone):
            signal.time_at(index)
    with pytest.raises(SamplesGone, match="wanted an absolute index"):
        signal[1.5]
    with pytest.raises(ConfigurationError, match="wanted video"):
        signal.frame(103)


def test_numpy_and_loops_take_a_signal_as_it_is(run):
    signal = run["ints"]
    np.testing.assert_array_equal(np.asarray(signal), signal.data)
    assert len(list(signal)) == len(signal)


EVENT_TIMES = (0.5, 0.25, 1.5)  # s; a trigger that debounces may be late with one


@pytest.fixture
def keys(tmp_path):
    """Events at times of their own, one of unknown time, a gap."""
    clock = ManualClock()
    recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "keys")))
    recorder.clock = clock
    recorder.open({"keys": event_spec(1000.0)})
    begin = clock.now_ns()
    events = [Event(begin + round(t * 1e9), label=f"at {t}") for t in EVENT_TIMES]
    recorder.write(Chunk(7, event_array(events), time_ns=events[0].time_ns), "keys")
    recorder.gap(Gap(10, 12), "keys")
    recorder.write(Chunk(12, event_array([Event(0, label="some time")])), "keys")
    recorder.close()
    return open_run(tmp_path / "keys")["keys"]


def test_events_are_found_by_their_own_times(keys):
    np.testing.assert_allclose(keys.times, [*EVENT_TIMES, np.nan, np.nan, np.nan])
    assert [row["label"] for row in keys.between(0.5, 1.5)] == [b"at 0.5"]
    assert [row["label"] for row in keys.between(0.0, 9.0)] == [b"at 0.5", b"at 0.25", b"at 1.5"]
    assert (keys.index_at(0.0), keys.index_at(1.0), keys.index_at(2.0)) == (7, 9, keys.stop)
    assert keys.time_at(9) == 1.5
    assert keys.duration == 1.25
    assert keys[12]["label"] == b"some time"


def test_events_show_themselves_as_such(keys):
    assert repr(keys) == "<Signal 'keys': [7, 13) events, 2 events lost in 1 gap(s)>"


def test_xarray_has_the_times_of_events(keys):
    pytest.importorskip("xarray")
    np.testing.assert_array_equal(keys.to_xarray()["time"].values, keys.times)
