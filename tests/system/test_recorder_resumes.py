"""A recorder whose process dies goes on with the same run: what the producer still has is filled in."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from pyacq_lab.errors import PyacqError
from pyacq_lab.model.lifecycle import State
from pyacq_lab.recording import open_run, verify
from pyacq_lab.recording.run import Run

RATE = 2000.0


def written(recorder) -> int:
    """Index up to which it has acknowledged; 0 while there is nobody to ask."""
    with contextlib.suppress(PyacqError):
        return recorder.inputs["raw"].status().written or 0
    return 0


def rig(manager, tmp_path: Path, buffer_seconds: float, restart: str = "on-failure"):
    daq = manager.create_nodegroup("daq")
    disk = manager.create_nodegroup("disk", restart=restart)
    source = daq.create_node("ArraySource", "source")
    source.configure(data=np.arange(400_000, dtype="int32"), sample_rate=RATE)
    source.output.configure(buffer_seconds=buffer_seconds)
    recorder = disk.create_node("Recorder", "recorder")
    recorder.configure(path=str(tmp_path / "run_{time}"))
    recorder.inputs["raw"].connect(source.output)
    manager.start_nodes([source, recorder])
    return source, recorder, disk


def the_run(tmp_path: Path) -> Run:
    (folder,) = tmp_path.glob("run_*")
    return open_run(folder)


def kill(group) -> None:
    os.kill(group.pid, signal.SIGKILL)


@pytest.mark.parametrize("by_hand", [False, True])
def test_it_records_on_without_a_gap(manager, tmp_path, until, by_hand) -> None:
    _, recorder, disk = rig(manager, tmp_path, 20.0, "never" if by_hand else "on-failure")
    for _ in range(1 if by_hand else 2):
        at = written(recorder)
        until(lambda at=at: written(recorder) > at + 100)
        before, at = disk.pid, written(recorder)
        kill(disk)
        if by_hand:
            until(lambda: not disk.alive)
            disk.restart()
        until(lambda before=before, at=at: disk.pid != before and written(recorder) > at + 500)
    manager.stop_all_nodes()
    assert recorder.state is State.READY
    run = the_run(tmp_path)
    (signal_,) = run.segments("raw")
    assert signal_.gaps == ()
    np.testing.assert_array_equal(signal_.raw().ravel(), np.arange(signal_.start, signal_.stop))
    assert signal_.start == 0
    assert run.state == "stopped"
    ledger = run.ledger("raw")
    assert (ledger.dropped, ledger.pending) == (0, 0)
    assert ledger.sent == ledger.received == len(run["raw"])


def test_what_is_gone_is_one_gap(manager, tmp_path, until) -> None:
    source, recorder, disk = rig(manager, tmp_path, 1.0, "never")
    until(lambda: written(recorder) > 500)
    kill(disk)
    until(lambda: not disk.alive)
    stop = source.outputs["out"].status().stop
    until(lambda: source.outputs["out"].status().stop > stop + 2 * RATE)
    disk.restart()
    until(lambda: written(recorder) > stop + 2.5 * RATE)
    manager.stop_all_nodes()
    (signal_,) = the_run(tmp_path).segments("raw")
    assert len(signal_.gaps) == 1, signal_.gaps
    (gap,) = signal_.gaps
    assert gap.start >= 500
    assert gap.stop >= stop + RATE / 2
    (first, second) = signal_.pieces
    for start, stop in (first, second):
        np.testing.assert_array_equal(signal_.raw(start, stop).ravel(), np.arange(start, stop))
    assert (first[0], first[1], second[0]) == (0, gap.start, gap.stop)


def test_what_made_the_run_stays_known(manager, tmp_path, until) -> None:
    source, recorder, disk = rig(manager, tmp_path, 20.0)
    until(lambda: written(recorder) > 100)
    run = the_run(tmp_path)
    made = run.rig
    readings, before, at = len(run.clocks), disk.pid, written(recorder)
    assert readings
    kill(disk)
    until(lambda: disk.pid != before)
    assert recorder.state is State.RUNNING  # which waits until it does
    until(lambda: written(recorder) > at + 500)
    manager.stop_all_nodes()
    manifest = run.manifest()
    assert {n.name: n.settings for n in run.rig.nodes if n.name != recorder.name} == {
        source.name: made.node("source").settings
    }
    assert (run.rig.hosts, run.rig.connections) == (made.hosts, made.connections)
    assert run["raw"].producer == manifest.recorded_on == disk.host.name
    assert run["raw"].is_on_one_clock
    assert len(run.clocks) > readings
    assert [change.node for change in run.changes.of("source")] == ["source"]
    assert not manager.logs(contains="does not say what its nodes are")


def test_killed_at_random_moments_it_has_every_sample_or_says_which_it_lacks(
    manager, tmp_path, until
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # pytest shows it where a test fails
    dice = random.Random(seed)
    daq = manager.create_nodegroup("daq")
    disk = manager.create_nodegroup("disk", restart="on-failure")
    recorder = disk.create_node("Recorder", "recorder")
    recorder.configure(path=str(tmp_path / "run_{time}"), chunk_seconds=0.05, compression="zstd")
    # One whose ring outlasts every restart, and one whose ring may not.
    data = {"long": np.arange(400_000, dtype="int32"), "short": np.arange(-1.0, 400_000.0)}
    for name, buffer_seconds in (("long", 20.0), ("short", 0.25)):
        source = daq.create_node("ArraySource", name)
        source.configure(data=data[name], sample_rate=RATE)
        source.output.configure(buffer_seconds=buffer_seconds)
        recorder.inputs[name].connect(source.output)
    manager.start_all_nodes()

    def at() -> int:
        with contextlib.suppress(PyacqError):
            return min(recorder.inputs[name].status().written or 0 for name in data)
        return 0

    for _ in range(3):
        was = at()
        until(lambda was=was: at() > was)
        time.sleep(dice.uniform(0, 0.3))  # at any moment, not only after an acknowledgement
        before = disk.pid
        kill(disk)
        until(lambda before=before: disk.alive and disk.pid != before)
    was = at()
    until(lambda: at() > was + 100)
    manager.stop_all_nodes()

    run = the_run(tmp_path)
    report = verify(run.path)
    assert report.ok, str(report)
    assert run.state == "stopped"
    for name in data:
        (signal_,) = run.segments(name)
        assert signal_.start == 0
        for start, stop in signal_.pieces:
            np.testing.assert_array_equal(signal_.raw(start, stop).ravel(), data[name][start:stop])
        lacking = sum(map(len, signal_.gaps))
        ledger = run.ledger(name)
        assert (ledger.received, ledger.dropped, ledger.pending) == (len(signal_) - lacking, lacking, 0)
    assert run["long"].gaps == ()
