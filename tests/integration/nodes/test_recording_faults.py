"""A recorder that loses its disk is faulted and says why; the rest of the graph lives."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping

import numpy as np
import pytest

from pyacq_lab.model.chunk import Chunk, Gap, Reading
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink, Source
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run, verify


class Endless(Source):
    """Counts for ever, as fast as its readers take it."""

    waits = True

    def describe(self) -> Mapping[str, StreamSpec]:
        return {"out": StreamSpec.of("<i8", shape=(-1, 8), sample_rate=1000.0, buffer_size=2000)}

    def open(self) -> None:
        self.at = 0

    def read(self, timeout: float) -> Reading:
        self.clock.sleep(0.001)
        data = numbers(self.at, self.at + 20)
        self.at += 20
        return Reading(data)


def numbers(start: int, stop: int) -> np.ndarray:
    return np.arange(8 * start, 8 * stop, dtype="<i8").reshape(-1, 8)


class Slow(Sink):
    """Takes longer for each chunk than the source for the next."""

    flushed = 0

    def open(self, inputs: Mapping[str, StreamSpec]) -> None: ...

    def write(self, chunk: Chunk, name: str) -> None:
        time.sleep(0.02)

    def gap(self, gap: Gap, name: str) -> None: ...

    def flush(self) -> Mapping[str, int]:
        type(self).flushed += 1
        return {}


class OnSlowDisk(Recorder):
    """A recorder whose disk takes longer for each chunk than the source for the next."""

    def write(self, chunk: Chunk, name: str) -> None:
        time.sleep(0.004)
        super().write(chunk, name)


@pytest.fixture
def start(make_nodes):
    """Start a source and a recorder for each path; gives source and recorders."""
    make = make_nodes(Endless)

    def start(*paths, **settings):
        source = make("Endless", "source")
        source.configure()
        recorders = [make("Recorder", f"recorder{number}") for number, _ in enumerate(paths)]
        for recorder, path in zip(recorders, paths, strict=True):
            recorder.configure(path=str(path), **{"min_free": 0.0, **settings})
            recorder.connect("numbers", source.output_address("out"))
        for node in (source, *recorders):
            node.initialize()
        for node in (*recorders, source):
            node.start()
        return source, *recorders

    return start


def written(recorder) -> int:
    return recorder.status().inputs[0].written or 0


def others_live(until, source, recorder) -> None:
    """The source is not held back by the one that is faulted."""
    at = written(recorder)
    until(lambda: written(recorder) > at + 5000)
    assert (source.state, recorder.state) == (State.RUNNING, State.RUNNING)


def test_a_run_folder_that_is_removed(start, until, tmp_path):
    source, first, second = start(tmp_path / "first", tmp_path / "second")
    until(lambda: written(first) > 1000)
    shutil.rmtree(tmp_path / "first", ignore_errors=True)
    until(lambda: first.state is State.FAULTED)
    assert any(why in first.status().reason for why in ("is gone", "was removed", "No such file"))
    others_live(until, source, second)
    source.stop()
    second.stop()
    run = open_run(tmp_path / "second")
    np.testing.assert_array_equal(run["numbers"].raw(), numbers(0, len(run["numbers"])))
    first.configure(path=str(tmp_path / "third"), min_free=0.0)
    first.initialize()
    first.start()
    source.start()
    until(lambda: written(first) > 100)


@pytest.fixture
def small_disk(tmp_path):
    """A disk that is full within some seconds."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("disks cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_disk_that_is_full(start, until, small_disk, tmp_path):
    source, full, other = start(small_disk / "run", tmp_path / "other", chunk_seconds=0.5)
    until(lambda: full.state is State.FAULTED)
    assert "No space left on device" in full.status().reason
    others_live(until, source, other)
    told = written(full)
    assert told > 0
    run = open_run(small_disk / "run")
    np.testing.assert_array_equal(run["numbers"].raw(0, told), numbers(0, told))
    assert all(segment.ok for segment in verify(small_disk / "run").segments)


def test_a_disk_that_is_unmounted(start, until, small_disk, tmp_path):
    source, gone, other = start(small_disk / "run", tmp_path / "other")
    until(lambda: written(gone) > 10)
    subprocess.run(["umount", "-l", str(small_disk)], check=True)
    until(lambda: gone.state is State.FAULTED)
    assert "is gone" in gone.status().reason or "No space" in gone.status().reason
    others_live(until, source, other)


def test_a_node_that_lags_is_heard_and_stops(make_nodes, until, monkeypatch):
    make = make_nodes(Endless, Slow)
    source, slow = make("Endless", "source"), make("Slow", "slow")
    monkeypatch.setattr(Slow, "flushed", 0)
    source.configure()
    slow.configure()
    slow.connect("in", source.output_address("out"))
    for node in (source, slow):
        node.initialize()
    for node in (slow, source):
        node.start()
    until(lambda: Slow.flushed > 3)
    slow.stop()
    assert slow.state is State.READY


def test_what_waits_when_the_recorder_is_stopped_is_recorded(make_nodes, until, tmp_path):
    make = make_nodes(Endless, OnSlowDisk)
    source, recorder = make("Endless", "source"), make("OnSlowDisk", "recorder")
    source.configure()
    recorder.configure(path=str(tmp_path / "run"), min_free=0.0)
    recorder.connect("numbers", source.output_address("out"))
    for node in (source, recorder):
        node.initialize()
    for node in (recorder, source):
        node.start()
    until(lambda: source.status().outputs[0].stop - recorder.status().inputs[0].stop > 500)
    source.stop()
    assert source.status().outputs[0].stop > recorder.status().inputs[0].stop
    recorder.stop()
    signal = open_run(tmp_path / "run")["numbers"]
    assert (signal.start, signal.stop) == (0, source.status().outputs[0].stop)
    assert signal.gaps == ()
    np.testing.assert_array_equal(signal.raw(), numbers(0, signal.stop))
