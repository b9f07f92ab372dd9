"""What `verify` finds where files were cut or a recorder was killed, and what `recover` makes of it."""

from __future__ import annotations

import os
import random
import shutil

import numpy as np
import pytest
import zarr

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run, recover, verify
from pyacq_lab.recording.manifest import LOCK
from pyacq_lab.testing import ManualClock

SPECS = {
    "ints": StreamSpec.of("<i2", shape=(-1, 3), sample_rate=100.0),
    "floats": StreamSpec(shape=(-1, 2), sample_rate=50.0),
    "keys": event_spec(100.0),
}

KEYS = event_array(Event(10**18 + i, index=7 * i, code=i, label=f"key {i}") for i in range(40))


def ints(start, stop):
    return np.arange(3 * start, 3 * stop, dtype="<i2").reshape(-1, 3)


def floats(start, stop):
    return np.arange(2.0 * start, 2.0 * stop).reshape(-1, 2)


WANTED = {"ints": ints(0, 1237), "floats": floats(0, 333), "keys": KEYS}


def recorder_of(path, **settings):
    recorder = Recorder(Recorder.settings_type.checked(path=str(path), chunk_seconds=0.06, **settings))
    recorder.clock = ManualClock()
    return recorder


def begin(path, **settings):
    """Start to record: two segments of ints, with gaps; floats; events."""
    recorder = recorder_of(path, **settings)
    recorder.open(SPECS)
    recorder.write(Chunk(0, ints(0, 50)), "ints")
    recorder.close()
    recorder.open(SPECS)
    for start, stop in ((0, 500), (500, 613), (640, 1237)):
        recorder.write(Chunk(start, ints(start, stop), time_ns=10**18 + start), "ints")
        recorder.write(Chunk(start // 4, floats(start // 4, min(stop // 4, 333))), "floats")
        recorder.flush()
        if stop == 613:
            recorder.gap(Gap(613, 640, reason="overrun"), "ints")
            recorder.gap(Gap(153, 160, reason="overrun"), "floats")
    recorder.write(Chunk(309, floats(309, 333)), "floats")
    recorder.write(Chunk(0, KEYS), "keys")
    recorder.annotate("first")
    recorder.annotate("second")
    recorder.flush()
    return recorder


@pytest.fixture(scope="module", params=["none", "zstd"])
def compression(request):
    return request.param


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, compression):
    """A run that was stopped."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    begin(folder, compression=compression).close()
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory, compression):
    """A run whose recorder was killed."""
    folder, copy = tmp_path_factory.mktemp("killed") / "live", tmp_path_factory.mktemp("killed") / "run"
    recorder = begin(folder, compression=compression)
    recorder.write(Chunk(1237, ints(1237, 1250)), "ints")  # not acknowledged
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(LOCK))
    recorder.close()
    return copy


def check_whole(folder, report, extra=0):
    """All that the report does not call damaged reads back equal; also with Zarr, where the run is mended."""
    run = open_run(folder)
    for segment in report.segments:
        signal = run[segment.name, segment.number]
        wanted = ints(0, 1237 + extra) if segment.name == "ints" else WANTED[segment.name]
        rows = slice(signal.start, signal.stop)
        mask = np.zeros(len(signal), bool)
        for gap in signal.gaps:
            mask[gap.start : gap.stop] = True
        np.testing.assert_array_equal(signal.raw()[~mask], wanted[rows][~mask])
        if segment.name == "keys":
            assert [event.label for event in signal.events] == [
                f"key {i}" for i in range(len(signal)) if not mask[i]
            ]
            continue
        array = zarr.open_array(signal.folder, mode="r")
        assert array.shape[0] == len(signal)
        np.testing.assert_array_equal(array[:][~mask], wanted[rows][~mask])


def test_a_run_that_was_stopped_is_whole(stopped):
    report = verify(stopped)
    assert report.ok
    assert [(s.name, s.number, s.start, s.acknowledged) for s in report.segments] == [
        ("ints", 0, 0, 50),
        ("ints", 1, 0, 1237),
        ("floats", 0, 0, 333),
        ("keys", 0, 0, 40),
    ]
    assert "all is whole" in str(report)
    check_whole(stopped, report)
    before = {p: p.read_bytes() for p in stopped.rglob("*") if p.is_file() and p.name != LOCK}
    assert recover(stopped).actions == ()
    assert {p: p.read_bytes() for p in stopped.rglob("*") if p.is_file() and p.name != LOCK} == before


def test_of_a_run_that_was_killed_all_that_was_written_is_recovered(killed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "run")
    report = verify(folder)
    assert report.ok
    assert "its recorder was killed" in str(report)
    assert "13 more were written and not acknowledged" in str(report)
    done = recover(folder)
    assert done.after.ok
    assert open_run(folder).state == "recovered"
    assert open_run(folder)["ints", 1].stop == 1250
    check_whole(folder, done.after, extra=13)
    assert recover(folder).actions == ()


def cut_somewhere(folder, rng):
    """Cut one file of the run at any byte."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.stat().st_size]
    path = rng.choice(files)
    at = rng.randrange(path.stat().st_size)
    os.truncate(path, at)
    return path, at


@pytest.mark.parametrize("seed", range(40))
def test_a_run_that_was_cut_anywhere(stopped, killed, seed, tmp_path):
    folder = shutil.copytree(killed if seed % 2 else stopped, tmp_path / "run")
    one_line = (folder / "annotations.jsonl").read_bytes().index(b"\n") + 1
    path, at = cut_somewhere(folder, random.Random(seed))
    report = verify(folder)
    lost = {(s.name, s.number): s.n_damaged for s in report.segments}
    is_data = "c" in path.parts or path.name == "events.jsonl" or path.name.startswith("tail")
    if not is_data:
        assert sum(lost.values()) == 0, (path, at)
    done = recover(folder)
    assert done.after.ok, (path, at, str(done))
    assert open_run(folder).state in ("recovered", "stopped")
    check_whole(folder, report, extra=13)
    gaps = {
        (s.name, s.number): sum(
            min(gap.stop, s.acknowledged) - gap.start
            for gap in open_run(folder)[s.name, s.number].gaps
            if gap.reason == "damaged" and gap.start < s.acknowledged
        )
        for s in report.segments
    }
    assert gaps == lost
    assert len(open_run(folder).annotations) == (2 if path.name != "annotations.jsonl" else at // one_line)
    assert recover(folder).actions == ()


def test_exactly_what_was_cut_off_is_damaged(stopped, tmp_path, compression):
    folder = shutil.copytree(stopped, tmp_path / "run")
    if compression == "none":
        os.truncate(folder / "streams/ints/1/c/0/0", 4096 + 10 * (36 + 4) + 3 * 6 + 5)
        wanted = (63, 613)
    else:
        path = folder / "streams/ints/1/c/0/0"
        index = np.frombuffer(path.read_bytes(), "<u8", 256).reshape(-1, 2)
        os.truncate(path, int(index[10].sum()) - 1)
        wanted = (60, 613)
    report = verify(folder)
    found = [d for s in report.segments if (s.name, s.number) == ("ints", 1) for d in s.damaged]
    # The gap at 613 is none of it; the second shard begins at 768.
    assert (found[0].start, max(d.stop for d in found if d.start < 613)) == wanted
    assert (found[-1].stop, sum(d.stop - d.start for d in found)) == (768, 768 - wanted[0] - 27)
    assert "is cut short" in str(report)


def test_a_flipped_bit_is_found_and_only_its_chunk_is_lost(stopped, tmp_path, compression):
    folder = shutil.copytree(stopped, tmp_path / "run")
    path = folder / "streams/ints/1/c/1/0"
    index = np.frombuffer(path.read_bytes(), "<u8", 256).reshape(-1, 2)
    with path.open("r+b") as file:
        file.seek(int(index[4, 0]) + 20)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    report = verify(folder)
    [damage] = [d for s in report.segments for d in s.damaged]
    assert (damage.start, damage.stop) == (768 + 24, 768 + 30)
    assert "checksum" in damage.why
    if compression != "none":
        with pytest.raises(RecordingError, match="checksum of a chunk does not fit: `pyacq-lab runs verify`"):
            open_run(folder)["ints", 1].raw(790, 800)
    done = recover(folder)
    assert done.after.ok
    check_whole(folder, report)


def test_a_run_without_run_json_is_read_from_its_other_files(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    for name in ("run.json", "run.backup.json"):
        (folder / name).unlink()
    report = verify(folder)
    assert not report.ok
    done = recover(folder)
    assert done.after.ok
    check_whole(folder, done.after)
    assert open_run(folder).started == open_run(stopped).started


def test_progress_is_told(stopped):
    told = []
    verify(stopped, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 10_000
    assert told == sorted(told)


def test_what_is_being_recorded_is_verified_and_left_alone(tmp_path):
    recorder = begin(tmp_path / "run")
    report = verify(tmp_path / "run")
    assert (report.ok, report.state) == (True, "being recorded")
    with pytest.raises(RecordingError, match="is being recorded into"):
        recover(tmp_path / "run")
    recorder.close()


def test_no_run_folder(tmp_path):
    for what in (verify, recover):
        with pytest.raises(RecordingError, match="is not a run folder"):
            what(tmp_path)


def test_one_flipped_bit_in_run_json_does_not_change_what_samples_are(killed, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "run")
    manifest = folder / "run.json"
    text = manifest.read_text()
    assert '"dtype": "<i2"' in text
    manifest.write_text(
        text.replace('"dtype": "<i2"', '"dtypd": "<i2"')
    )  # good JSON: a field that nobody knows
    report = verify(folder)
    assert not report.ok
    assert "its journal and its zarr.json say otherwise how samples lie" in str(report)
    done = recover(folder)
    assert done.after.ok
    check_whole(folder, done.after, extra=13)


def test_what_follows_a_cut_journal_is_not_added(killed, tmp_path):
    """The gap that a cut has taken would be joined."""
    folder = shutil.copytree(killed, tmp_path / "run")
    journal = folder / "streams" / "ints" / "1" / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"kind":"gap","start":12')
    done = recover(folder)
    assert done.after.ok
    assert open_run(folder)["ints", 1].stop == 1237
    check_whole(folder, done.after)
