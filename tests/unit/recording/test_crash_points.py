"""A recorder, or a repair, that dies at any one of its calls to the disk: nothing acknowledged is lost."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from breaking import Disk, Killed

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run, recover, track, verify
from pyacq_lab.recording.lock import is_locked
from pyacq_lab.recording.manifest import MANIFEST
from pyacq_lab.testing import ManualClock

SPECS = {
    "ints": StreamSpec.of("<i2", shape=(-1, 3), sample_rate=100.0),
    "floats": StreamSpec(shape=(-1, 2), sample_rate=50.0),
    "keys": event_spec(100.0),
}

GAPS = {("ints", 1): (13, 31), ("keys", 1): (2, 4), ("floats", 2): (0, 3)}
"""By stream and epoch: the samples that never come."""

Told = dict[tuple[str, int], int]
"""By stream and epoch: index before which everything was acknowledged."""


def samples(name: str, epoch: int, start: int, stop: int) -> np.ndarray:
    """Samples that are all different, and none of them 0."""
    indices = 1000 * epoch + np.arange(start, stop)
    if name == "ints":
        return (3 * indices[:, None] + [1, 2, 3]).astype("<i2")
    if name == "floats":
        return 2.0 * indices[:, None] + [0.25, 0.75]
    return event_array(Event(10**18 + int(i), index=int(i), code=epoch, label=f"key {i}") for i in indices)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Many shards of a few samples each; a process that dies takes nothing with it that needs a sync."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(track, "SHARD_CHUNKS", 2)


def recorder_of(folder: Path, compression: str = "none", **settings) -> Recorder:
    settings = {
        "path": str(folder),
        "chunk_seconds": 0.05,
        "compression": compression,
        "min_free": 0,
    } | settings
    recorder = Recorder(Recorder.settings_type.checked(**settings))
    recorder.clock = ManualClock()
    return recorder


def write(recorder: Recorder, name: str, epoch: int, start: int, stop: int) -> None:
    data = samples(name, epoch, start, stop)
    recorder.write(Chunk(start, data, epoch=epoch, time_ns=10**18 + start), name)


def flush(recorder: Recorder, told: Told, epoch: int) -> None:
    recorder.clock.advance(1.0)
    told |= {(name, epoch): stop for name, stop in recorder.flush().items()}


def record(recorder: Recorder, told: Told) -> None:
    """Record two starts, with gaps, chunks and shards that end in all manners, and a new epoch."""
    recorder.open(SPECS)
    write(recorder, "ints", 1, 0, 7)
    write(recorder, "keys", 1, 0, 2)
    flush(recorder, told, 1)
    write(recorder, "ints", 1, 7, 13)
    recorder.gap(Gap(13, 31, epoch=1, reason="overrun"), "ints")
    write(recorder, "ints", 1, 31, 35)
    recorder.gap(Gap(2, 4, epoch=1), "keys")
    write(recorder, "keys", 1, 4, 6)
    flush(recorder, told, 1)
    write(recorder, "ints", 1, 35, 38)
    recorder.close()
    recorder.open(SPECS)
    recorder.gap(Gap(0, 3, epoch=2), "floats")
    write(recorder, "floats", 2, 3, 10)
    write(recorder, "ints", 2, 0, 5)
    flush(recorder, told, 2)
    recorder.annotate("between")
    write(recorder, "ints", 3, 0, 4)
    write(recorder, "floats", 3, 0, 2)
    flush(recorder, told, 3)
    recorder.close()


def go_on(recorder: Recorder, told: Told) -> None:
    """Record a little more into the same run."""
    recorder.open(SPECS)
    write(recorder, "ints", 7, 0, 8)
    write(recorder, "floats", 7, 0, 3)
    flush(recorder, told, 7)
    recorder.close()


def check(folder: Path, told: Told) -> None:
    """All that was told reads back equal, and whatever else there is is right, too."""
    if not told and not (folder / MANIFEST).exists():
        return
    run = open_run(folder)
    found = {(name, signal.epoch): signal for name in run for signal in run.segments(name)}
    for key, stop in told.items():
        assert found[key].stop >= stop
    for (name, epoch), signal in found.items():
        masked = signal.masked()
        wanted = samples(name, epoch, signal.start, signal.stop)
        first, last = GAPS.get((name, epoch), (0, 0))
        missing = [first <= i < last for i in range(signal.start, signal.stop)]
        mask = np.asarray(masked.mask if name == "keys" else masked.mask[:, 0])
        if mask.dtype.names:
            mask = mask[mask.dtype.names[0]]
        assert mask.tolist() == missing, (name, epoch)
        assert np.array_equal(masked.data[~mask], wanted[~mask]), (name, epoch)


@contextmanager
def broken_disk(folder: Path, at: int = 10**9, how: str = "killed") -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(folder, patch, at, how)
        try:
            yield disk
        finally:
            if how in ("killed", "torn"):
                disk.let_go()


def calls_of(folder: Path, work: Callable[[], object], how: str) -> list[int]:
    """Calls that a piece of work makes, as far as they can break in this manner."""
    with broken_disk(folder) as disk:
        work()
    return disk.tearable if how == "torn" else list(range(disk.n_calls))


def calls_of_record(folder: Path, compression: str, how: str) -> list[int]:
    return calls_of(folder, lambda: record(recorder_of(folder, compression), {}), how)


def some_of(calls: list[int], every: int) -> list[int]:
    """One of so many, from another one at each run of the tests: over the runs it is all of them."""
    first = secrets.randbelow(every)
    print(f"calls[{first}::{every}]")  # pytest shows it where a test fails
    return calls[first::every]


def open_files(folder: Path) -> list[str]:
    """Files of a run that this process has open."""
    return [file.path for file in psutil.Process().open_files() if file.path.startswith(f"{folder}/")]


def unlock(recorder: Recorder) -> None:
    """Do what the system does where a process dies."""
    if recorder._lock is not None:
        recorder._lock.release()


def mended(folder: Path, told: Told) -> None:
    """After a repair all is whole, and there is nothing left to be mended."""
    try:
        done = recover(folder)
        assert done.after.ok, str(done)
    except RecordingError:
        assert not told
        assert not (folder / MANIFEST).exists()
        return
    check(folder, told)
    assert recover(folder).actions == ()


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("how", ["killed", "torn"])
def test_a_recorder_that_dies_at_any_call(tmp_path, compression, how):
    calls = calls_of_record(tmp_path / "all", compression, how)
    assert len(calls) > 30
    for number, at in enumerate(some_of(calls, 3)):
        folder, told = tmp_path / f"{at}", {}
        recorder = recorder_of(folder, compression)
        with broken_disk(folder, at, how), pytest.raises(Killed):
            record(recorder, told)
        unlock(recorder)
        check(folder, told)
        if number % 4 == 0:  # to mend takes longest
            mended(folder, told)
        go_on(recorder_of(folder, compression, existing="continue"), told)
        check(folder, told)
        report = verify(folder)
        assert all(segment.ok for segment in report.segments), (at, str(report))


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_repair_that_dies_at_any_call(tmp_path, compression):
    folder, told = tmp_path / "run", {}
    recorder = recorder_of(folder, compression)
    n_calls = len(
        calls_of(tmp_path / "all", lambda: record(recorder_of(tmp_path / "all", compression), {}), "killed")
    )
    with broken_disk(folder, n_calls - 30), pytest.raises(Killed):
        record(recorder, told)
    unlock(recorder)
    whole = shutil.copytree(folder, tmp_path / "whole")
    calls = calls_of(whole, lambda: recover(whole), "killed")
    assert len(calls) > 10
    for at in some_of(calls, 2):
        copy = shutil.copytree(folder, tmp_path / f"{at}")
        with broken_disk(copy, at), pytest.raises(Killed):
            recover(copy)
        check(copy, told)
        mended(copy, told)


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("how", ["full", "gone"])
def test_a_disk_that_fails_at_any_call(tmp_path, compression, how):
    calls = calls_of_record(tmp_path / "all", compression, how)
    for at in some_of(calls, 4):
        folder, told = tmp_path / f"{at}", {}
        recorder = recorder_of(folder, compression)
        n_open = open_files(folder)
        with broken_disk(folder, at, how):
            with suppress(RecordingError):
                record(recorder, told)
            with suppress(RecordingError):
                recorder.close()
        assert not is_locked(folder)
        assert open_files(folder) == n_open, at
        check(folder, told)
        go_on(recorder_of(folder, compression, existing="continue"), told)
        check(folder, told)
        report = verify(folder)
        assert all(segment.ok for segment in report.segments), (at, str(report))
