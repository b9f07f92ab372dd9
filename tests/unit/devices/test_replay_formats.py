"""EDF, BDF and XDF files and run folders, replayed as they were recorded."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pyedflib
import pytest

from pyacq_lab.devices import Replay
from pyacq_lab.errors import ConfigurationError, EndOfStream, MissingDependency
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec, events_in
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder
from pyacq_lab.testing import ManualClock


def replay_of(**settings):
    replay = Replay(Replay.settings_type.checked(**settings))
    replay.clock = ManualClock()
    return replay


def play(replay):
    """All readings of each output, to the end."""
    replay.open()
    readings = {name: [] for name in replay.describe()}
    while True:
        try:
            got = replay.read(0.05)
        except EndOfStream:
            return readings
        if got is not None:
            for name, reading in (got if isinstance(got, dict) else {"out": got}).items():
                readings[name].append(reading)


def joined(readings):
    return np.concatenate([r.data for r in readings])


def write_edf(path, rates=(256, 256), units=("uV", "uV"), annotations=(), bdf=False):
    kind = pyedflib.FILETYPE_BDFPLUS if bdf else pyedflib.FILETYPE_EDFPLUS
    top = 2**23 if bdf else 2**15
    writer = pyedflib.EdfWriter(str(path), len(rates), kind)
    samples = []
    for i, (rate, unit) in enumerate(zip(rates, units, strict=True)):
        writer.setSignalHeader(
            i,
            {
                "label": f"ch{i}", "dimension": unit, "sample_frequency": rate,
                "physical_max": 100.0 * (i + 1), "physical_min": -50.0,
                "digital_max": top - 1, "digital_min": -top,
                "transducer": "", "prefilter": "",
            },
        )  # fmt: skip
        samples.append((np.arange(3 * rate) * 37 * (i + 1) % (2 * top) - top).astype(np.int32))
    writer.writeSamples(samples, digital=True)
    for onset, duration, label in annotations:
        writer.writeAnnotation(onset, duration, label)
    writer.close()
    return samples


@pytest.mark.parametrize(("suffix", "dtype", "top"), [("edf", "<i2", 2**15), ("bdf", "<i4", 2**23)])
def test_edf_keeps_its_numbers_scales_and_names(tmp_path, suffix, dtype, top):
    samples = write_edf(tmp_path / f"a.{suffix}", bdf=suffix == "bdf")
    replay = replay_of(path=str(tmp_path / f"a.{suffix}"))
    (spec,) = replay.describe().values()
    assert (spec.dtype, spec.sample_rate, spec.units, spec.channel_names) == (
        dtype,
        256,
        "uV",
        ("ch0", "ch1"),
    )
    got = joined(play(replay)["out"])
    np.testing.assert_array_equal(got, np.stack(samples, axis=1))
    physical = spec.to_physical(np.array([[-top, top - 1]] * 2).T[[0, 1]])
    np.testing.assert_allclose(physical, [[-50, -50], [100, 200]], atol=1e-9)


def test_edf_of_several_rates_has_an_output_for_each_and_events(tmp_path):
    annotations = [(0.5, 0.25, "eyes closed"), (2.25, -1, "Größe")]
    samples = write_edf(tmp_path / "a.edf", (256, 32, 256), ("uV", "mmHg", "uV"), annotations)
    replay = replay_of(path=str(tmp_path / "a.edf"), chunk_size=50)
    specs = replay.describe()
    assert list(specs) == ["256 Hz uV", "32 Hz mmHg", "events"]
    begin = replay.clock.now_ns()
    got = play(replay)
    np.testing.assert_array_equal(joined(got["256 Hz uV"]), np.stack([samples[0], samples[2]], axis=1))
    np.testing.assert_array_equal(joined(got["32 Hz mmHg"])[:, 0], samples[1])
    assert events_in(joined(got["events"])) == [
        Event(begin + 500_000_000, 128, 64, label="eyes closed"),
        Event(begin + 2_250_000_000, 576, 0, label="Größe"),
    ]
    assert joined(got["events"]).dtype == specs["events"].np_dtype
    chosen = replay_of(path=str(tmp_path / "a.edf"), streams=("32 Hz mmHg",), loops=2)
    np.testing.assert_array_equal(joined(play(chosen)["out"])[:, 0], np.tile(samples[1], 2))


def test_events_come_again_with_each_loop(tmp_path):
    write_edf(tmp_path / "a.edf", annotations=[(1.0, 0, "x")])
    replay = replay_of(path=str(tmp_path / "a.edf"), loops=3)
    begin = replay.clock.now_ns()
    events = events_in(joined(play(replay)["events"]))
    assert [(e.time_ns - begin, e.index) for e in events] == [
        (1_000_000_000, 256), (4_000_000_000, 1024), (7_000_000_000, 1792),
    ]  # fmt: skip


def xdf_chunk(tag, content):
    body = struct.pack("<H", tag) + content
    return b"\x04" + struct.pack("<I", len(body)) + body


def xdf_stream(number, name, rate, form, stamps, rows, channels=""):
    """Header, samples and footer of one stream (XDF 1.0)."""
    n = len(rows[0])
    head = (
        f"<?xml version='1.0'?><info><name>{name}</name><type>x</type><channel_count>{n}</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>{form}</channel_format>"
        f"<desc>{channels}</desc></info>"
    )
    out = xdf_chunk(2, struct.pack("<I", number) + head.encode())
    content = struct.pack("<I", number) + b"\x04" + struct.pack("<I", len(rows))
    for stamp, row in zip(stamps, rows, strict=True):
        content += b"\x08" + struct.pack("<d", stamp)
        if form == "string":
            for text in row:
                content += b"\x04" + struct.pack("<I", len(text.encode())) + text.encode()
        else:
            content += np.asarray(row, {"float32": "<f4", "int32": "<i4"}[form]).tobytes()
    out += xdf_chunk(3, content)
    foot = f"<?xml version='1.0'?><info><first_timestamp>{stamps[0]}</first_timestamp></info>"
    return out + xdf_chunk(6, struct.pack("<I", number) + foot.encode())


def write_xdf(path):
    rng = np.random.default_rng(0)
    eeg = rng.standard_normal((1000, 2)).astype("<f4")
    stamps = 100.0 + np.arange(1000) / 250
    stamps[600:] += 2.0  # two seconds were lost
    channels = "<channels>" + "".join(
        f"<channel><label>{name}</label><unit>uV</unit></channel>" for name in ("Fz", "Cz")
    ) + "</channels>"  # fmt: skip
    content = b"XDF:" + xdf_chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
    content += xdf_stream(1, "EEG/main", 250, "float32", stamps, eeg, channels)
    content += xdf_stream(2, "Markers", 0, "string", [100.5, 103.0], [["start"], ["go"]])
    content += xdf_stream(3, "Mouse", 0, "float32", [100.5, 101.0], [[1, 2], [3, 4]])
    path.write_bytes(content)
    return eeg


def test_xdf_keeps_its_gaps_and_markers(tmp_path, caplog):
    eeg = write_xdf(tmp_path / "a.xdf")
    replay = replay_of(path=str(tmp_path / "a.xdf"))
    assert "'Mouse' has no regular rate" in caplog.text
    specs = replay.describe()
    assert list(specs) == ["EEG_main", "Markers"]
    assert (specs["EEG_main"].units, specs["EEG_main"].channel_names) == ("uV", ("Fz", "Cz"))
    begin = replay.clock.now_ns()
    got = play(replay)
    np.testing.assert_array_equal(joined(got["EEG_main"]), eeg)
    (after,) = [r for r in got["EEG_main"] if r.lost]
    assert after.lost == 500
    assert after.time_ns - begin == 1100 * 4_000_000
    np.testing.assert_array_equal(after.data[0], eeg[600])
    assert [(e.time_ns - begin, e.label) for e in events_in(joined(got["Markers"]))] == [
        (500_000_000, "start"), (3_000_000_000, "go"),
    ]  # fmt: skip


def record(folder, starts=1):
    """A run of two streams and events, with a gap in the first."""
    recorder = Recorder(Recorder.settings_type.checked(path=str(folder)))
    recorder.clock = ManualClock()
    fast = StreamSpec.of("<i2", shape=(-1, 2), sample_rate=1000.0, units="uV", scale=0.5)
    slow = StreamSpec.of("<f4", shape=(-1,), sample_rate=10.0)
    specs = {"fast": fast, "slow": slow, "marks": event_spec(1000.0)}
    data = np.arange(2000, dtype="<i2").reshape(1000, 2)
    t0 = ManualClock().now_ns()
    for _ in range(starts):
        recorder.open(specs)
        recorder.write(Chunk(50, data[:300], t0, 100), "fast")
        recorder.write(Chunk(0, np.arange(10, dtype="<f4"), t0 + 250_000_000, 100), "slow")
        recorder.gap(Gap(350, 450), "fast")
        recorder.write(Chunk(450, data[400:], t0 + 400_000_000, 100), "fast")
        recorder.write(Chunk(0, event_array([Event(t0 + 7, 57, label="hit")]), t0 + 7), "marks")
        recorder.close()
    return specs, np.concatenate([data[:300], data[400:]])


def test_a_run_is_replayed_with_its_streams_gaps_and_events(tmp_path):
    specs, data = record(tmp_path / "run")
    replay = replay_of(path=str(tmp_path / "run"), chunk_size=64)
    assert replay.describe()["fast"] == specs["fast"]
    begin = replay.clock.now_ns()
    got = play(replay)
    np.testing.assert_array_equal(joined(got["fast"]), data)
    assert [r.lost for r in got["fast"] if r.lost] == [100]
    assert got["slow"][0].time_ns - begin == 250_000_000
    np.testing.assert_array_equal(joined(got["slow"]), np.arange(10))
    assert events_in(joined(got["marks"])) == [Event(begin + 7, 57, label="hit")]


def test_one_of_several_starts_is_chosen(tmp_path):
    _, data = record(tmp_path / "run", starts=2)
    with pytest.raises(ConfigurationError, match="was started 2 times: choose one with segment=i"):
        replay_of(path=str(tmp_path / "run"))
    replay = replay_of(path=str(tmp_path / "run"), segment=1, streams=("fast",), loops=2)
    got = play(replay)["out"]
    np.testing.assert_array_equal(joined(got), np.tile(data, (2, 1)))
    assert sum(r.lost for r in got) == 200
    with pytest.raises(ConfigurationError, match=r"segment=2: its streams have segments 0 to 1"):
        replay_of(path=str(tmp_path / "run"), segment=2)


def test_as_fast_as_it_is_taken_in_the_order_of_time(tmp_path):
    write_xdf(tmp_path / "a.xdf")
    replay = replay_of(path=str(tmp_path / "a.xdf"), realtime=False)
    assert replay.waits
    replay.open()
    times = [next(iter(replay.read(0.0).values())).time_ns for _ in range(50)]
    assert times == sorted(times)
    assert replay.clock.sleeps == []


@pytest.mark.parametrize("name", ["a.edf", "a.bdf", "a.xdf", "run"])
def test_what_is_damaged_is_refused_by_name(tmp_path, name):
    (tmp_path / name).mkdir() if name == "run" else (tmp_path / name).write_bytes(b"no recording")
    with pytest.raises(ConfigurationError, match=f"{name}.*cannot be read"):
        replay_of(path=str(tmp_path / name))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loops": 2}, "loops=2 of 2 streams of samples: only one"),
        ({"units": "V"}, "units and channel_names for 2 streams"),
        ({"streams": ("eeg",)}, "no stream 'eeg' in the recording: it has 256 Hz uV, 1 Hz mmHg"),
    ],
)
def test_what_goes_with_one_stream_only(tmp_path, settings, says):
    write_edf(tmp_path / "a.edf", (256, 1), ("uV", "mmHg"))
    with pytest.raises(ConfigurationError, match=says):
        replay_of(path=str(tmp_path / "a.edf"), **settings)


@pytest.mark.parametrize(("module", "suffix", "extra"), [("pyedflib", "edf", "edf"), ("pyxdf", "xdf", "xdf")])
def test_missing_readers_are_named(tmp_path, monkeypatch, module, suffix, extra):
    (tmp_path / f"a.{suffix}").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=rf"pip install 'pyacq_lab\[{extra}\]'"):
        replay_of(path=str(tmp_path / f"a.{suffix}"))
