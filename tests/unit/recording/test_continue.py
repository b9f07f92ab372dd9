"""A recorder comes to a run folder that is there already: ``existing="continue"``."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pyacq_lab.errors import RecordingError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run, recover, verify
from pyacq_lab.recording.lock import is_locked
from pyacq_lab.recording.manifest import LOCK, MANIFEST
from pyacq_lab.testing import ManualClock

SPEC = StreamSpec(shape=(-1, 2), sample_rate=100.0, units="V")


def recorder_of(path, **settings):
    settings = {"path": str(path), "existing": "continue", "chunk_seconds": 0.1} | settings
    recorder = Recorder(Recorder.settings_type.checked(**settings))
    recorder.clock = ManualClock()
    return recorder


def samples(start, stop):
    return np.arange(2.0 * start, 2.0 * stop).reshape(-1, 2)


def chunk(start, stop):
    return Chunk(start, samples(start, stop))


def contents(folder):
    """All files and what is in them."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != LOCK}


def killed_at(run_folder, nonce=7, producer_epoch=2):
    """What is there after 25 samples, of which 20 are acknowledged, and a recorder that goes on with that."""
    other = run_folder.with_name("other")
    recorder = recorder_of(other)
    recorder.open({"a": SPEC})
    assert recorder.places() == {}
    recorder.begin("a", StreamPlace(nonce, producer_epoch, 0), 0)
    recorder.write(chunk(0, 20), "a")
    recorder.take_accounts({"a": HopLedger(sent=25, received=20)})
    recorder.flush()
    recorder.write(chunk(20, 25), "a")
    assert recorder.resumed_settings() == {"path": str(other), "existing": "continue"}
    shutil.copytree(other, run_folder)
    recorder.close()
    return recorder_of(run_folder)


def test_another_process_goes_on_in_the_same_segment(tmp_path):
    recorder = killed_at(tmp_path / "run")
    recorder.open({"a": SPEC})
    place = recorder.places()["a"]
    assert place == StreamPlace(7, 2, 25)  # with what was written and not acknowledged
    recorder.begin("a", place, epoch=0)
    recorder.gap(Gap(25, 60, 0, "dropped"), "a")
    recorder.write(chunk(60, 80), "a")
    recorder.take_accounts({"a": HopLedger(sent=55, received=20, dropped=35)})
    recorder.close()
    run = open_run(tmp_path / "run")
    (signal,) = run.segments("a")
    assert [(gap.start, gap.stop, gap.reason) for gap in signal.gaps] == [(25, 60, "dropped")]
    np.testing.assert_array_equal(signal.raw(0, 25), samples(0, 25))
    np.testing.assert_array_equal(signal.raw(60, 80), samples(60, 80))
    ledger = run.ledger("a")
    assert (ledger.sent, ledger.received, ledger.dropped) == (80, 45, 35)


@pytest.mark.parametrize("place", [StreamPlace(8, 2, 25), StreamPlace(7, 3, 0), StreamPlace(0, -1, 0)])
def test_another_producer_or_epoch_gets_a_segment_of_its_own(tmp_path, place):
    recorder = killed_at(tmp_path / "run")
    recorder.open({"a": SPEC})
    recorder.begin("a", place, epoch=0)
    recorder.write(chunk(0, 10), "a")
    recorder.close()
    first, second = open_run(tmp_path / "run").segments("a")
    np.testing.assert_array_equal(first.raw(), samples(0, 25))
    np.testing.assert_array_equal(second.raw(), samples(0, 10))


def test_a_run_that_was_stopped_is_not_gone_on_with_in_the_middle(tmp_path):
    recorder = killed_at(tmp_path / "run")
    recorder.open({"a": SPEC})
    recorder.begin("a", recorder.places()["a"], epoch=0)
    recorder.close()
    again = recorder_of(**recorder.resumed_settings())
    again.open({"a": SPEC})
    assert again.places() == {}
    again.close()


def record_more(folder, spec=SPEC, place=None):
    """Another recorder goes on, of a producer that is still there."""
    recorder = recorder_of(folder)
    recorder.open({"a": spec})
    recorder.begin("a", place or StreamPlace(7, 2, 0), epoch=0)
    recorder.write(Chunk(25, samples(25, 40).astype(spec.np_dtype)), "a")
    recorder.close()


def test_one_recorder_at_a_time(tmp_path):
    recorder, other = recorder_of(tmp_path), recorder_of(tmp_path)
    recorder.open({"a": SPEC})
    recorder.write(chunk(0, 3), "a")
    recorder.flush()
    before = contents(tmp_path)
    with pytest.raises(RecordingError, match="is being recorded into: stop that recorder first"):
        other.open({"a": SPEC})
    with pytest.raises(RecordingError, match="is being recorded into: stop that recorder first"):
        recover(tmp_path)
    assert contents(tmp_path) == before
    recorder.close()
    other.open({"a": SPEC})
    other.write(chunk(0, 2), "a")
    other.close()
    assert [(s.start, s.stop) for s in open_run(tmp_path).segments("a")] == [(0, 3), (0, 2)]


def test_a_run_that_was_mended_is_gone_on_with_in_a_new_segment(tmp_path):
    killed_at(tmp_path / "run")
    recover(tmp_path / "run")
    record_more(tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert [(s.start, s.stop) for s in run.segments("a")] == [(0, 25), (25, 40)]
    assert run.state == "stopped"
    assert verify(tmp_path / "run").ok


def test_a_stream_that_is_another_now_gets_a_segment_of_its_own(tmp_path):
    killed_at(tmp_path / "run")
    record_more(tmp_path / "run", StreamSpec.of("<i4", shape=(-1, 2), sample_rate=100.0))
    first, second = open_run(tmp_path / "run").segments("a")
    assert (first.spec, first.stop, second.spec.dtype) == (SPEC, 25, "<i4")
    np.testing.assert_array_equal(first.raw(), samples(0, 25))
    np.testing.assert_array_equal(second.raw(), samples(25, 40))
    assert verify(tmp_path / "run").ok


def test_a_segment_that_is_damaged_is_left_to_recover(tmp_path):
    killed_at(tmp_path / "run")
    journal = tmp_path / "run/streams/a/0/journal.jsonl"
    journal.write_bytes(b"nonsense\n" + journal.read_bytes())
    record_more(tmp_path / "run")
    first, second = open_run(tmp_path / "run").segments("a")
    assert (first.stop, second.start, second.stop) == (20, 25, 40)  # as acknowledged: no more is known
    assert not verify(tmp_path / "run").ok
    assert recover(tmp_path / "run").after.ok
    np.testing.assert_array_equal(open_run(tmp_path / "run")["a", 0].raw(0, 20), samples(0, 20))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"nonsense", "is damaged.*runs recover"),
        (b"", "is damaged.*runs recover"),
        ({"version": 1}, "version 1; this software reads"),
        ({"version": 3}, "version 3; this software reads"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_left_as_it_was(tmp_path, content, says):
    killed_at(tmp_path / "run")
    path = tmp_path / "run" / MANIFEST
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_bytes()) | content).encode()
    path.write_bytes(content)
    before = contents(tmp_path / "run")
    with pytest.raises(RecordingError, match=says):
        recorder_of(tmp_path / "run").open({"a": SPEC})
    assert contents(tmp_path / "run") == before
    assert not is_locked(tmp_path / "run")


@pytest.mark.parametrize("left", ["", "4711\nelsewhere\n"])
def test_a_lock_file_that_was_left_locks_nothing(tmp_path, left):
    """By a process that was killed, or with a folder that was copied from another machine."""
    killed_at(tmp_path / "run")
    (tmp_path / "run" / LOCK).write_text(left)
    record_more(tmp_path / "run")
    np.testing.assert_array_equal(open_run(tmp_path / "run")["a"].raw(), samples(0, 40))


def test_an_empty_folder_is_gone_on_with_and_a_foreign_one_is_left_as_it_was(tmp_path):
    recorder = recorder_of(tmp_path)
    recorder.open({"a": SPEC})
    recorder.close()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    with pytest.raises(RecordingError, match="is not a run folder"):
        recorder_of(foreign).open({"a": SPEC})
    assert [path.name for path in foreign.iterdir()] == ["notes.txt"]
