"""Recordings that play again, sample by sample."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import pywt.data
from scipy.io import wavfile

from pyacq_lab.devices import Replay
from pyacq_lab.errors import ConfigurationError, EndOfStream, MissingDependency
from pyacq_lab.testing import ManualClock


def replay_of(clock=None, **settings):
    replay = Replay(Replay.settings_type.checked(**settings))
    replay.clock = clock or ManualClock()
    return replay


def play(replay, timeout=0.05):
    """All readings to the end."""
    replay.open()
    readings = []
    while True:
        try:
            reading = replay.read(timeout)
        except EndOfStream:
            return readings
        if reading is not None:
            readings.append(reading)


def joined(readings):
    return np.concatenate([r.data for r in readings])


@pytest.fixture
def npy(tmp_path):
    data = np.arange(300, dtype=">i2").reshape(100, 3)
    np.save(tmp_path / "data.npy", data)
    return str(tmp_path / "data.npy"), data


@pytest.mark.parametrize("late", [0.0, 0.011, 0.4, 30.0])
@pytest.mark.parametrize("loops", [1, 3])
def test_no_sample_is_lost_however_late_it_wakes(npy, late, loops):
    path, data = npy
    readings = play(
        replay_of(ManualClock(late=late), path=path, sample_rate=1000.0, loops=loops, chunk_size=7)
    )
    np.testing.assert_array_equal(joined(readings), np.concatenate([data] * loops))
    assert readings[0].data.dtype == data.dtype
    assert all(r.lost == 0 for r in readings)


def test_samples_are_paced_by_absolute_deadlines(npy):
    clock = ManualClock(late=0.0013)
    begin = clock.now_ns()
    readings = play(replay_of(clock, path=npy[0], sample_rate=1000.0, loops=50, chunk_size=10))
    starts = np.cumsum([0, *(len(r.data) for r in readings[:-1])])
    assert [r.time_ns - begin for r in readings] == (starts * 1_000_000).tolist()
    assert clock.now_ns() - begin == 5_001_300_000  # one lateness in all, not one for each chunk


def test_as_fast_as_it_is_taken(npy):
    replay = replay_of(path=npy[0], sample_rate=1.0, realtime=False, chunk_size=30)
    assert [len(r.data) for r in play(replay)] == [30, 30, 30, 10]
    assert replay.clock.sleeps == []


def test_endless(npy):
    replay = replay_of(path=npy[0], sample_rate=1000.0, loops=0, realtime=False, chunk_size=64)
    replay.open()
    got = joined([replay.read(0.0) for _ in range(50)])
    np.testing.assert_array_equal(got, np.resize(npy[1], got.shape))


def test_chunks_longer_than_the_recording(npy):
    replay = replay_of(path=npy[0], sample_rate=1000.0, loops=5, realtime=False, chunk_size=350)
    assert [len(r.data) for r in play(replay)] == [350, 150]


def test_opens_again_from_the_start(npy):
    replay = replay_of(path=npy[0], sample_rate=1000.0)
    assert len(joined(play(replay))) == len(joined(play(replay))) == 100


def test_ecg():
    replay = replay_of(dataset="ecg")
    (spec,) = replay.describe().values()
    assert (spec.sample_rate, spec.units, spec.names) == (360.0, "adu", ("ecg",))
    got = joined(play(replay))
    assert got.dtype == spec.np_dtype
    np.testing.assert_array_equal(got[:, 0], pywt.data.ecg())


def test_missing_pywavelets_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt.data", None)
    with pytest.raises(MissingDependency, match="pip install PyWavelets"):
        replay_of(dataset="ecg")


def test_devices_load_without_the_packages_they_may_need():
    """The names come lazily: a nodegroup without psutil still replays files."""
    probe = (
        "import sys, pyacq_lab.devices.replay; print(sorted({'pywt', 'scipy', 'psutil'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_csv_with_names_and_missing_values(tmp_path):
    (tmp_path / "data.csv").write_text("left, right\n1,2\n3,\n5,6\n")
    replay = replay_of(path=str(tmp_path / "data.csv"), sample_rate=10.0, units="mV")
    (spec,) = replay.describe().values()
    assert (spec.channel_names, spec.units) == (("left", "right"), "mV")
    np.testing.assert_array_equal(joined(play(replay)), [[1, 2], [3, np.nan], [5, 6]])


def test_csv_with_the_header_that_numpy_writes(tmp_path):
    np.savetxt(tmp_path / "data.csv", [[1, 2], [3, 4]], delimiter=",", header="left,right")
    replay = replay_of(path=str(tmp_path / "data.csv"), sample_rate=10.0)
    assert replay.describe()["out"].channel_names == ("left", "right")
    np.testing.assert_array_equal(joined(play(replay)), [[1, 2], [3, 4]])


def test_csv_without_names(tmp_path):
    (tmp_path / "data.csv").write_text("1\n2\n")
    np.testing.assert_array_equal(
        joined(play(replay_of(path=str(tmp_path / "data.csv"), sample_rate=9.0))), [[1], [2]]
    )


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<i4", "<f4"])
def test_wav_is_in_parts_of_full_scale(tmp_path, dtype):
    tone = 0.5 * np.sin(np.arange(800) / 10)
    top = {"u1": 128, "<i2": 2**15, "<i4": 2**31, "<f4": 1}[dtype]
    raw = tone * top + (128 if dtype == "u1" else 0)
    wavfile.write(tmp_path / "tone.wav", 8000, raw.astype(dtype))
    replay = replay_of(path=str(tmp_path / "tone.wav"))
    (spec,) = replay.describe().values()
    assert (spec.sample_rate, spec.units) == (8000.0, "FS")
    np.testing.assert_allclose(joined(play(replay))[:, 0] * spec.scale, tone, atol=1 / 100)


def test_pictures_are_video(tmp_path):
    np.save(tmp_path / "film.npy", np.zeros((5, 4, 6, 3), dtype="u1"))
    (spec,) = replay_of(path=str(tmp_path / "film.npy"), sample_rate=25.0).describe().values()
    assert (spec.streamtype, spec.shape) == ("video", (-1, 4, 6, 3))


def damaged(folder):
    (folder / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00")
    (folder / "words.csv").write_text("a,b\n1,2\nthree,4\n")
    (folder / "ragged.csv").write_text("1,2\n3\n")
    (folder / "none.csv").write_text("")
    (folder / "names.csv").write_text("a,b\n")
    (folder / "short.wav").write_bytes(b"RIFF")
    np.save(folder / "empty.npy", np.zeros((0, 2)))
    np.save(folder / "scalar.npy", np.zeros(()))
    np.save(folder / "objects.npy", np.array([{}], dtype=object))
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "cut.npy",
        "words.csv",
        "ragged.csv",
        "none.csv",
        "names.csv",
        "short.wav",
        "empty.npy",
        "scalar.npy",
        "objects.npy",
        "no.npy",
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigurationError, match=name.replace(".", r"\.")):
        replay_of(path=str(damaged(tmp_path) / name), sample_rate=1.0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "give either path="),
        ({"path": "a.npy", "dataset": "ecg"}, "give either path="),
        ({"dataset": "eeg"}, "dataset='eeg'"),
        ({"path": "a.mat"}, r"ends in \.npy, \.csv, \.wav"),
        ({"dataset": "ecg", "channel_names": ("a", "b")}, "2 channel_names for 1 channels"),
    ],
)
def test_refusals(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        replay_of(**settings).describe()


def test_a_rate_is_needed_where_the_file_has_none(npy):
    with pytest.raises(ConfigurationError, match="give sample_rate, Hz"):
        replay_of(path=npy[0])


def test_a_rate_that_contradicts_the_file_is_refused(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, np.zeros(10, dtype="<i2"))
    with pytest.raises(ConfigurationError, match="recorded at 8000 Hz"):
        replay_of(path=str(tmp_path / "a.wav"), sample_rate=44_100.0)
