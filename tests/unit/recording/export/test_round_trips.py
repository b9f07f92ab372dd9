"""A run that is exported and played again: equal samples, rates, units, names, gaps and events."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import h5py
import numpy as np
import pynwb
import pytest

from pyacq_lab.devices import Replay
from pyacq_lab.devices.recordings import load_file
from pyacq_lab.errors import ConfigurationError, EndOfStream
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.events import event_spec, events_in
from pyacq_lab.model.stream import SERVED, StreamSpec
from pyacq_lab.testing import ManualClock

from .conftest import FLOATS, INTS_SPEC, RAW

pytestmark = pytest.mark.filterwarnings("ignore::pyacq_lab.recording.export.ExportWarning")


def play(path, **settings):
    """What a replay gives, to its end: spec, values in units, NaN where samples were lost, and first time."""
    replay = Replay(Replay.settings_type.checked(path=str(path), realtime=False, **settings))
    replay.clock = ManualClock()
    replay.open()
    begin, specs = replay.clock.now_ns(), replay.describe()
    blocks = {name: [] for name in specs}
    first = {}
    while True:
        try:
            got = replay.read(0.0)
        except EndOfStream:
            break
        for name, reading in (got if isinstance(got, dict) else {"out": got} if got else {}).items():
            first.setdefault(name, reading.time_ns - begin)
            if specs[name].streamtype == "event":
                blocks[name].append(reading.data)
                continue
            blocks[name].append(np.full((reading.lost, *specs[name].sample_shape), np.nan))
            blocks[name].append(specs[name].to_physical(reading.data))
    return {name: (specs[name], np.concatenate(blocks[name]), first[name]) for name in specs}


def gapped_values():
    values = RAW * 0.5 + 1.0
    values[5:10] = np.nan
    return values


def without_service(spec):
    return spec.replace(**{field: getattr(StreamSpec(), field) for field in SERVED})


@pytest.mark.parametrize("suffix", ["h5", "nwb", "xdf", "edf", "bdf"])
def test_streams_gaps_names_and_events(record, gapped, floats, marks, events, now, tmp_path, suffix):
    run = record({"i": gapped, "f": floats, "marks": marks})
    got = play(run.export(tmp_path / f"run.{suffix}"))
    labels = "events" if suffix in ("edf", "bdf") else "marks"
    assert sorted(got) == sorted(["i", "f", labels])
    spec, values, first = got["i"]
    np.testing.assert_allclose(values, gapped_values(), rtol=1e-12)
    assert (spec.units, spec.sample_rate, spec.channel_names, first) == ("mV", 10.0, ("x", "y", "z"), 0)
    spec, values, first = got["f"]
    assert (spec.units, spec.sample_rate, first) == ("V", 20.0, 250_000_000)
    step = {"edf": 2**-15, "bdf": 2**-23}.get(suffix, 0.0)
    np.testing.assert_allclose(values, FLOATS, rtol=0, atol=step)
    back = events_in(got[labels][1])
    begin = ManualClock().now_ns()
    assert [(e.time_ns - begin, e.label) for e in back] == [(e.time_ns - now, e.label) for e in events]
    if suffix in ("h5", "nwb"):
        assert [(e.index, e.duration, e.channel, e.code) for e in back] == [
            (e.index, e.duration, e.channel, e.code) for e in events
        ]


def test_hdf5_keeps_specs_and_raw_samples(record, gapped, floats, marks, now, tmp_path):
    wide = INTS_SPEC.replace(scale=(1.0, 2.0, 3.0), offset=(0.0, 1.0, 2.0), group_delay=0.25)
    line = StreamSpec.of("<i2", streamtype="digitalsignal", shape=(-1,), sample_rate=5.0)
    video = StreamSpec.of("u1", streamtype="video", shape=(-1, 4, 5, 3), sample_rate=10.0)
    frames = np.arange(180, dtype="u1").reshape(3, 4, 5, 3)
    streams = {
        "i": gapped,
        "wide/1": (wide, [Chunk(7, RAW, time_ns=now)]),
        "line": (line, [Chunk(0, RAW[:, 0], time_ns=now)]),
        "cam": (video, [Chunk(0, frames, time_ns=now)]),
        "marks": (event_spec(10.0), marks[1]),
    }
    run = record(streams)
    tracks = load_file(str(run.export(tmp_path / "run.hdf5")), None)
    names = {"wide/1": "wide_1"}
    for name, (spec, _) in streams.items():
        got = tracks[names.get(name, name)].spec()
        assert without_service(got) == without_service(spec)
    np.testing.assert_array_equal(tracks["cam"].data[1:3], run["cam"].raw(1, 3))
    np.testing.assert_array_equal(tracks["line"].data[:], RAW[:, 0])
    assert tracks["i"].data.dtype == "<i2"


@pytest.mark.parametrize("suffix", ["h5", "nwb"])
def test_samples_stay_on_disk(record, ints, tmp_path, suffix):
    path = record({"i": ints}).export(tmp_path / f"run.{suffix}")
    data = load_file(str(path), None)["i"].data
    assert not isinstance(data, np.ndarray)
    np.testing.assert_array_equal(data[3:7], RAW[3:7])
    assert data[18:99].shape == (2, 3)


def test_one_start_of_several(record, ints, floats, tmp_path):
    run = record({"i": ints, "f": floats}, {"i": ints})
    path = run.export(tmp_path / "run.h5")
    with pytest.raises(ConfigurationError, match=r"'i' was started 2 times: choose one with segment=i"):
        load_file(str(path), None)
    np.testing.assert_array_equal(play(path, segment=1, streams=("i",))["out"][1], RAW * 0.5 + 1.0)
    path = run.export(tmp_path / "run.nwb")
    assert list(load_file(str(path), None)) == ["f", "i 0", "i 1"]
    assert list(load_file(str(path), None, 1)) == ["i 1"]


def test_wav(record, now, tmp_path):
    spec = StreamSpec.of("<i2", shape=(-1, 3), sample_rate=8000.0)
    run = record({"i": (spec, [Chunk(0, RAW, time_ns=now)])})
    spec, values, _ = play(run.export(tmp_path / "x.wav"))["out"]
    assert (spec.sample_rate, spec.units) == (8000.0, "FS")
    np.testing.assert_array_equal(values * 2**15, RAW)


@pytest.mark.parametrize("rate", [0.1, 10.0, 512.5, 44100.0, 1e6 / 3])
def test_csv(record, gapped, now, tmp_path, rate):
    spec, items = gapped
    run = record({"i": (spec.replace(sample_rate=rate), items)})
    spec, values, _ = play(run.export(tmp_path / "x.csv"))["out"]
    assert (spec.units, spec.channel_names) == ("mV", ("x", "y", "z"))
    assert spec.sample_rate == pytest.approx(rate, rel=1e-4)
    assert rate == 1e6 / 3 or spec.sample_rate == rate
    np.testing.assert_array_equal(values, gapped_values())


def test_events_of_csv(record, untimed_marks, events, now, tmp_path):
    path = record({"marks": untimed_marks}).export(tmp_path / "x.csv")
    begin = ManualClock().now_ns()
    back = events_in(play(path)["out"][1])
    assert [dataclasses.replace(e, time_ns=e.time_ns - begin) for e in back] == [
        dataclasses.replace(e, time_ns=e.time_ns - now) for e in events
    ]


def test_hdf5_of_others_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["samples"] = np.zeros(3)
    with pytest.raises(ConfigurationError, match=r"x.h5.*its format is None.*as Run.export writes it"):
        load_file(str(tmp_path / "x.h5"), None)


@pytest.fixture
def foreign(tmp_path):
    """An NWB file as others write it: electrodes, time stamps with a break, annotations, no rate."""
    file = pynwb.NWBFile(
        session_description="of others",
        identifier="1",
        session_start_time=datetime(2025, 1, 2, tzinfo=UTC),
    )
    device = file.create_device(name="probe")
    group = file.create_electrode_group(name="shank", description="a shank", location="CA1", device=device)
    file.add_electrode_column(name="label", description="name")
    for label in ("e0", "e1", "e2"):
        file.add_electrode(group=group, location="CA1", label=label)
    region = file.create_electrode_table_region(region=[2, 0], description="two of them")
    lfp = pynwb.ecephys.ElectricalSeries(
        name="lfp",
        data=RAW[:, :2],
        electrodes=region,
        rate=10.0,
        starting_time=1.0,
        conversion=1e-6,
        channel_conversion=[1.0, 2.0],
    )
    stamps = 2.0 + np.concatenate([np.arange(5), np.arange(8, 13)]) / 20
    file.add_acquisition(lfp)
    file.add_acquisition(pynwb.TimeSeries(name="pupil", data=FLOATS[:10, 0], unit="mm", timestamps=stamps))
    file.add_acquisition(
        pynwb.TimeSeries(name="taps", data=[1.0, 2.0, 3.0], unit="N", timestamps=[1.0, 1.1, 1.5673])
    )
    with pytest.warns(UserWarning, match="deprecated"):  # as older files have them
        notes = pynwb.misc.AnnotationSeries(
            name="notes", data=["a", "b"], timestamps=[1.5, 2.5], description="said"
        )
    file.add_acquisition(notes)
    file.add_invalid_time_interval(start_time=1.5, stop_time=1.7, tags=["lfp"])
    file.add_invalid_time_interval(start_time=0.0, stop_time=9.0, tags=["else"])
    with pynwb.NWBHDF5IO(tmp_path / "x.nwb", "w") as io:
        io.write(file)
    return tmp_path / "x.nwb"


def test_nwb_of_others(foreign, caplog):
    got = play(foreign)
    assert sorted(got) == ["lfp", "notes", "pupil"]
    assert "'taps' has no regular rate" in caplog.text
    spec, values, first = got["lfp"]
    assert (spec.units, spec.channel_names, first) == ("V", ("e2", "e0"), 0)
    wanted = RAW[:, :2] * [1e-6, 2e-6]
    wanted[5:7] = np.nan
    np.testing.assert_allclose(values, wanted)
    spec, values, first = got["pupil"]
    assert (spec.sample_rate, spec.units, first) == (20.0, "mm", 1_000_000_000)
    np.testing.assert_array_equal(values[:, 0], np.insert(FLOATS[:10, 0], 5, [np.nan] * 3))
    begin = ManualClock().now_ns()
    assert [(e.time_ns - begin, e.label) for e in events_in(got["notes"][1])] == [
        (500_000_000, "a"),
        (1_500_000_000, "b"),
    ]
