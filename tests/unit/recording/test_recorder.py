"""What the recorder writes, and what it refuses."""

from __future__ import annotations

import json
import os
import resource
import shutil
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import zarr

from pyacq_lab.errors import ConfigurationError, RecordingError, StreamMismatch, UnknownName
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run, verify
from pyacq_lab.recording.lock import is_locked
from pyacq_lab.recording.shard import is_there, read_index
from pyacq_lab.recording.track import Track
from pyacq_lab.testing import ManualClock

SPEC = StreamSpec(shape=(-1, 2), sample_rate=100.0, units="V")


def recorder_of(path, **settings):
    recorder = Recorder(Recorder.settings_type.checked(path=str(path), **settings))
    recorder.clock = ManualClock()
    return recorder


def samples(start, stop):
    return np.arange(2.0 * start, 2.0 * stop).reshape(-1, 2)


def chunk(start, stop, **fields):
    return Chunk(start, samples(start, stop), **fields)


@pytest.fixture
def recorder(tmp_path):
    recorder = recorder_of(tmp_path / "run", chunk_seconds=0.1)
    recorder.open({"a": SPEC})
    yield recorder
    recorder.close()


@pytest.fixture
def run_folder(tmp_path, recorder):
    return tmp_path / "run"


def test_flush_says_how_far_and_other_programs_see_that_far(recorder, run_folder):
    assert recorder.flush() == {}
    for stop in (3, 10, 25):
        start = {3: 0, 10: 3, 25: 10}[stop]
        recorder.write(chunk(start, stop), "a")
        recorder.clock.advance(1.0)
        assert recorder.flush() == {"a": stop}
        array = zarr.open_array(run_folder / "streams/a/0", mode="r")
        np.testing.assert_array_equal(array[:], samples(0, stop // 10 * 10))  # whole chunks
        assert open_run(run_folder)["a"].stop == stop


def test_flush_acknowledges_every_stream(tmp_path):
    recorder = recorder_of(tmp_path / "run")
    recorder.open({"a": SPEC, "b": SPEC, "c": SPEC})
    for name in "abc":
        recorder.write(chunk(0, 4), name)
    assert recorder.flush() == {"a": 4, "b": 4, "c": 4}
    recorder.write(chunk(4, 5), "b")
    assert recorder.flush() == {"a": 4, "b": 5, "c": 4}
    recorder.close()


def test_rows_that_are_not_acknowledged_are_not_shown(recorder, run_folder):
    recorder.write(chunk(0, 3), "a")
    recorder.flush()
    recorder.write(chunk(3, 30), "a")
    assert open_run(run_folder)["a"].stop == 3


def test_flush_touches_nothing_where_nothing_is_new(recorder, run_folder):
    recorder.write(chunk(0, 3), "a")
    recorder.flush()
    before = {p: p.stat().st_mtime_ns for p in run_folder.rglob("*")}
    assert recorder.flush() == {"a": 3}
    assert {p: p.stat().st_mtime_ns for p in run_folder.rglob("*")} == before


def test_a_shard_is_no_longer_than_what_was_written(recorder, run_folder):
    recorder.write(chunk(0, 11), "a")
    shard = run_folder / "streams/a/0/c/0/0"
    assert shard.stat().st_size == 4096 + (160 + 4) + 16
    recorder.close()
    assert shard.stat().st_size == 4096 + 2 * (160 + 4)


def test_gaps_are_noted_and_hold_their_place(recorder, run_folder):
    recorder.write(chunk(0, 13), "a")
    recorder.gap(Gap(13, 47, reason="overrun"), "a")
    recorder.write(chunk(47, 50), "a")
    recorder.gap(Gap(50, 60), "a")
    recorder.close()
    signal = open_run(run_folder)["a"]
    assert signal.gaps == (Gap(13, 47, reason="overrun"), Gap(50, 60))
    wanted = samples(0, 60)
    wanted[13:47] = wanted[50:] = np.nan
    np.testing.assert_array_equal(signal.data, wanted)
    np.testing.assert_array_equal(zarr.open_array(signal.folder, mode="r")[:], wanted)
    # Chunks that lie in the gap as a whole are not there.
    index = read_index(signal.folder / "c/0/0", 128)
    assert [is_there(index, slot) for slot in range(7)] == [True, True, False, False, True, False, False]


def test_a_jump_without_a_gap_is_one(recorder, run_folder):
    recorder.write(chunk(0, 5), "a")
    recorder.write(chunk(8, 10), "a")
    recorder.gap(Gap(12, 14, reason="dropped"), "a")
    recorder.flush()
    reasons = [(g.start, g.stop, g.reason) for g in open_run(run_folder)["a"].gaps]
    assert reasons == [(5, 8, "not announced"), (10, 12, "not announced"), (12, 14, "dropped")]


def test_a_gap_comes_first(recorder, run_folder):
    recorder.gap(Gap(100, 103), "a")
    recorder.write(chunk(103, 105, time_ns=10**18), "a")
    recorder.flush()
    signal = open_run(run_folder)["a"]
    assert (signal.start, signal.stop, signal.gaps) == (100, 105, (Gap(100, 103),))
    assert signal.times[3] == pytest.approx((10**18 - open_run(run_folder).manifest().started_ns) / 1e9)


def test_a_gap_that_is_known_already_is_not_counted_twice(recorder, run_folder):
    recorder.write(chunk(0, 5), "a")
    recorder.gap(Gap(5, 8), "a")
    recorder.gap(Gap(3, 8), "a")
    recorder.write(chunk(8, 9), "a")
    recorder.flush()
    assert open_run(run_folder)["a"].gaps == (Gap(5, 8),)


def test_a_gap_of_a_century_takes_no_room(recorder, run_folder):
    recorder.write(chunk(0, 5), "a")
    far = 2**53 + 7
    recorder.gap(Gap(5, far), "a")
    recorder.write(Chunk(far, samples(7, 10)), "a")
    assert recorder.flush() == {"a": far + 3}
    signal = open_run(run_folder)["a"]
    np.testing.assert_array_equal(signal[far : far + 3], samples(7, 10))
    assert sum(p.stat().st_size for p in run_folder.rglob("*") if p.is_file()) < 25_000


def test_what_was_recorded_is_not_overwritten(recorder):
    recorder.write(chunk(0, 5), "a")
    with pytest.raises(RecordingError, match=r"chunk \[4, 6\) overlaps what was recorded up to 5"):
        recorder.write(chunk(4, 6), "a")


@pytest.mark.parametrize("data", [np.zeros((3, 2), "f4"), np.zeros((3, 3)), np.zeros(3)], ids=str)
def test_samples_unlike_the_spec_are_refused(recorder, data):
    with pytest.raises(StreamMismatch, match="announced as float64"):
        recorder.write(Chunk(0, data), "a")


def test_an_unknown_stream_is_refused(recorder):
    with pytest.raises(UnknownName, match=r"no stream 'b' is being recorded \(open: a\)"):
        recorder.write(chunk(0, 1), "b")


def test_run_json_tells_it_all(recorder, run_folder):
    recorder.write(chunk(7, 9, time_ns=10**18, uncertainty_ns=5, epoch=3), "a")
    recorder.flush()
    told = json.loads((run_folder / "run.json").read_text())
    assert (told["format"], told["version"], told["state"]) == ("pyacq_lab run", 2, "recording")
    assert {"pyacq_lab", "python", "numpy"} <= told["software"].keys()
    segment = told["streams"]["a"]["segments"][0]
    assert segment["spec"]["units"] == "V"
    known = {
        "epoch": 3,
        "start": 7,
        "acknowledged": 9,
        "time_index": 7,
        "time_ns": 10**18,
        "uncertainty_ns": 5,
    }
    assert segment.items() >= known.items()
    recorder.close()
    assert json.loads((run_folder / "run.json").read_text())["state"] == "stopped"


def test_times_are_kept_now_and_then(recorder, run_folder):
    for second in range(25):
        at = 100 * second
        recorder.write(chunk(at, at + 100, time_ns=10**18 + second * 1_000_100_000, uncertainty_ns=9), "a")
    recorder.flush()
    times = open_run(run_folder)["a"].sample_times
    assert times[:, 0].tolist() == [0, 1000, 2000]
    assert times[2].tolist() == [2000, 10**18 + 20 * 1_000_100_000, 9]


def test_the_end_is_acknowledged_at_stop(recorder, run_folder):
    recorder.write(chunk(0, 3), "a")
    recorder.close()
    assert open_run(run_folder)["a"].stop == 3


def test_opening_again_stops_what_was_open(recorder, run_folder):
    recorder.write(chunk(0, 3), "a")
    recorder.open({"a": SPEC})
    recorder.write(chunk(3, 5), "a")
    recorder.flush()
    assert [(s.start, s.stop) for s in open_run(run_folder).segments("a")] == [(0, 3), (3, 5)]


def test_streams_may_change_between_starts(recorder, run_folder):
    recorder.write(chunk(0, 3), "a")
    recorder.close()
    other = StreamSpec.of("<i2", shape=(-1, 1), sample_rate=10.0)
    recorder.open({"a": other, "b": SPEC})
    recorder.write(Chunk(0, np.array([[7]], "<i2")), "a")
    recorder.flush()
    first, second = open_run(run_folder).segments("a")
    assert (first.spec, second.spec) == (SPEC, other)
    np.testing.assert_array_equal(second.raw(), [[7]])


def test_path_is_filled_in(tmp_path):
    recorder = recorder_of(tmp_path / "deep" / "run_{date}_{time}")
    recorder.open({})
    recorder.close()
    assert open_run(recorder.folder).state == "stopped"
    assert recorder.folder == tmp_path / "deep" / "run_2023-11-14_22-13-20"


def test_a_run_is_never_overwritten(recorder, run_folder):
    with pytest.raises(RecordingError, match="exists already and is never overwritten"):
        recorder_of(run_folder).open({"a": SPEC})


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=r"cannot record into .*file"):
        recorder_of(tmp_path / "file" / "run").open({"a": SPEC})


@contextmanager
def disk_of(nbytes):
    """No file may grow beyond this: the nearest to a full disk that needs no privileges."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_an_error_and_all_before_is_readable(tmp_path):
    recorder = recorder_of(tmp_path / "run", chunk_seconds=100.0)
    recorder.open({"a": SPEC, "b": SPEC.replace(sample_rate=1.0)})
    recorder.write(chunk(0, 10), "a")
    recorder.write(chunk(0, 3), "b")
    recorder.flush()
    with disk_of(4096), pytest.raises(RecordingError, match=r"cannot record into .*run: .*File too large"):
        recorder.write(chunk(10, 3000), "a")
    recorder.close()
    run = open_run(tmp_path / "run")
    got = run["a"].data
    assert len(got) >= 10
    np.testing.assert_array_equal(got, samples(0, len(got)))
    np.testing.assert_array_equal(run["b"].data, samples(0, 3))


@pytest.mark.parametrize("settings", [{"chunk_seconds": 0}, {"fsync": "sometimes"}, {"path": ""}], ids=str)
def test_refused_settings(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Recorder.settings_type.checked(**settings)


def test_the_accounts_of_the_connections_are_kept(recorder, run_folder):
    recorder.open({"a": SPEC})
    assert open_run(run_folder).ledger("a").sent == 0
    recorder.write(chunk(0, 10), "a")
    recorder.take_accounts({"a": HopLedger(sent=30, received=10, dropped=15), "b": HopLedger()})
    recorder.flush()
    assert open_run(run_folder).ledger("a").pending == 5
    recorder.take_accounts({"a": HopLedger(sent=30, received=12, dropped=18, repaired=2)})
    recorder.close()
    found = open_run(run_folder).ledger("a")
    assert (found.received, found.dropped, found.repaired, found.pending) == (12, 18, 2, 0)
    with pytest.raises(UnknownName, match="holds no stream 'b'"):
        open_run(run_folder).ledger("b")


def test_a_run_of_before_there_were_accounts_can_be_read(recorder, run_folder):
    recorder.open({"a": SPEC})
    recorder.close()
    path = run_folder / "run.json"
    plain = msgspec.json.decode(path.read_bytes())
    del plain["streams"]["a"]["ledger"]
    path.write_bytes(msgspec.json.encode(plain))
    assert open_run(run_folder).ledger("a") == HopLedger()


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("dtype", ["<i2", ">f4", "<f8", "?", "<c8", "u1"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 3), (-1, 2, 4)], ids=str)
def test_zarr_reads_what_was_written_as_it_grows_and_when_it_is_done(tmp_path, compression, dtype, shape):
    spec = StreamSpec.of(dtype, shape=shape, sample_rate=100.0)
    wanted = np.random.default_rng(0).integers(0, 2, (1100, *shape[1:])).astype(dtype)
    recorder = recorder_of(tmp_path / "run", chunk_seconds=0.08, compression=compression)
    recorder.open({"a": spec})
    recorder.write(Chunk(0, wanted[:1037]), "a")  # 129 chunks: another shard
    recorder.clock.advance(1.0)
    recorder.flush()
    array = zarr.open_array(tmp_path / "run/streams/a/0", mode="r")
    np.testing.assert_array_equal(array[:], wanted[:1032])
    np.testing.assert_array_equal(open_run(tmp_path / "run")["a"].raw(1020, 1037), wanted[1020:1037])
    recorder.write(Chunk(1037, wanted[1037:]), "a")
    recorder.close()
    array = zarr.open_array(tmp_path / "run/streams/a/0", mode="r")
    np.testing.assert_array_equal(array[:], wanted)
    np.testing.assert_array_equal(open_run(tmp_path / "run")["a"].raw(), wanted)
    assert not list((tmp_path / "run/streams/a/0").glob("tail-*"))


def test_compression_takes_less_room(tmp_path):
    spec = StreamSpec.of("<i2", shape=(-1, 8), sample_rate=1000.0)
    walk = np.cumsum(np.random.default_rng(0).integers(-3, 4, (20_000, 8)), axis=0).astype("<i2")
    sizes = {}
    for compression in ("none", "lz4", "zstd"):
        recorder = recorder_of(tmp_path / compression, compression=compression)
        recorder.open({"a": spec})
        recorder.write(Chunk(0, walk), "a")
        recorder.close()
        shards = (tmp_path / compression / "streams/a/0/c").rglob("*")
        sizes[compression] = sum(p.stat().st_size for p in shards if p.is_file())
    assert sizes["zstd"] < 0.5 * sizes["none"]
    assert sizes["zstd"] < sizes["lz4"] < sizes["none"]


def test_a_disk_without_room_is_refused_before_anything_is_made(tmp_path):
    recorder = recorder_of(tmp_path / "run", min_free=1e9)
    with pytest.raises(RecordingError, match=r"min_free=1e\+09 GB must stay so: .* Make room"):
        recorder.open({"a": SPEC})
    assert not (tmp_path / "run").exists()


def test_where_room_runs_out_recording_stops_with_everything_whole(recorder, run_folder, monkeypatch, caplog):
    room = {"free": 10 * 10**9}
    usage = lambda path: SimpleNamespace(total=0, used=0, free=room["free"])  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)
    for second in range(30):
        recorder.write(chunk(100 * second, 100 * (second + 1)), "a")
        recorder.clock.advance(1.0)
        if second == 5:
            room["free"] = round(0.2 * 10**9) + 1600 * 600  # of 1600 bytes a second: ten minutes
        if second == 20:
            room["free"] = round(0.2 * 10**9) + 1600 * 30
        recorder.flush()
    texts = [record.getMessage() for record in caplog.records]
    assert [text.split(":")[0] for text in texts] == [
        f"the disk of {run_folder} will be full in 10 min",
        f"the disk of {run_folder} will be full in 30 s",
    ]
    room["free"] = 10**8
    recorder.write(chunk(3000, 3007), "a")
    recorder.clock.advance(1.0)
    with pytest.raises(RecordingError, match=r"0\.10 GB are free"):
        recorder.flush()
    recorder.close()
    run = open_run(run_folder)
    assert run.state == "stopped"
    np.testing.assert_array_equal(run["a"].raw(), samples(0, 3007))


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_run_folder_that_vanishes_is_noticed(tmp_path, compression):
    def moved(folder):
        folder.rename(tmp_path / "elsewhere")

    def replaced(folder):
        shutil.rmtree(folder)
        folder.mkdir()

    def emptied(folder):  # as by an `rm -r` that meets run.json once more
        shutil.rmtree(folder / "streams")

    for number, vanish in enumerate((shutil.rmtree, moved, replaced, emptied)):
        folder = tmp_path / str(number)
        recorder = recorder_of(folder, chunk_seconds=0.1, compression=compression)
        recorder.open({"a": SPEC})
        recorder.write(chunk(0, 13), "a")
        assert recorder.flush() == {"a": 13}
        vanish(folder)
        with suppress(RecordingError):  # a new file may have no place already
            recorder.write(chunk(13, 14), "a")
        with pytest.raises(RecordingError, match=r"is gone|was replaced by another|was removed while"):
            recorder.flush()
        with suppress(RecordingError):
            recorder.close()
        assert not is_locked(folder)
    run = open_run(tmp_path / "elsewhere")
    np.testing.assert_array_equal(run["a"].raw(0, 13), samples(0, 13))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("x" * 300, "File name too long"),
        ("file", "exists already"),
        ("file/run", "Not a directory|File exists"),
    ],
)
@pytest.mark.parametrize("existing", ["refuse", "continue"])
def test_a_place_for_no_run_is_refused_and_left_as_it_was(tmp_path, path, why, existing):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=why):
        recorder_of(tmp_path / path, existing=existing).open({"a": SPEC})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_path_with_a_zero_byte_is_refused():
    with pytest.raises(ConfigurationError, match="path"):
        Recorder.settings_type.checked(path="run\0")


@pytest.mark.parametrize("name", ["ünï %7E", "{what}", "'\"; rm -rf", "a\nb", "-run", "..."])
def test_a_run_may_have_an_odd_name(tmp_path, name):
    recorder = recorder_of(tmp_path / name)
    recorder.open({name: SPEC})
    recorder.write(chunk(0, 3), name)
    recorder.close()
    np.testing.assert_array_equal(open_run(tmp_path / name)[name].raw(), samples(0, 3))


def test_a_start_that_fails_leaves_its_place_free(tmp_path, monkeypatch):
    recorder = recorder_of(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Track, "__init__", lambda *args: (_ for _ in ()).throw(OSError("no room")))
        with pytest.raises(RecordingError, match="no room"):
            recorder.open({"a": SPEC})
    assert not (tmp_path / "run").exists()
    recorder.open({"a": SPEC})
    recorder.close()


def test_streams_that_end_unequally_and_one_that_never_begins(tmp_path):
    recorder = recorder_of(tmp_path / "run", chunk_seconds=0.1)
    recorder.open({"a": SPEC, "b": SPEC, "empty": SPEC})
    for start in range(0, 100, 10):
        recorder.write(chunk(start, start + 10), "a")
        if start < 30:
            recorder.write(chunk(start, start + 10), "b")
        told = recorder.flush()
    assert told == {"a": 100, "b": 30}
    recorder.close()
    run = open_run(tmp_path / "run")
    assert (len(run["a"]), len(run["b"]), run.segments("empty")) == (100, 30, ())
    assert verify(tmp_path / "run").ok


def test_what_an_error_kept_from_run_json_is_in_it_with_the_next_flush(recorder, run_folder, monkeypatch):
    recorder.write(chunk(0, 3), "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *args: (_ for _ in ()).throw(OSError("no room")))
        with pytest.raises(RecordingError, match="no room"):
            recorder.flush()
    assert recorder.flush() == {"a": 3}
    assert open_run(run_folder)["a"].stop == 3
