"""Notes on a run: where they stand in time, and that they stay."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, RecordingError
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, annotations, open_run
from pyacq_lab.recording.lock import notes_locked
from pyacq_lab.testing import ManualClock


@pytest.fixture
def recorder(tmp_path):
    recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "run")))
    recorder.clock = ManualClock()
    recorder.open({"a": StreamSpec()})
    yield recorder
    recorder.close()


def test_notes_are_kept_in_the_order_of_their_time(recorder):
    recorder.clock.advance(2.5)
    assert recorder.annotate("now").time == 2.5
    recorder.annotate("before", time=1.0, duration=0.5, subject="m1", levels=[1, 2])
    recorder.close()
    recorder.annotate("on the clock", time=open_run(recorder.folder).started + timedelta(seconds=2))
    run = open_run(recorder.folder)
    run.annotate("long after", time=-3.25)
    found = run.annotations
    assert [(a.time, a.text, a.duration) for a in found] == [
        (-3.25, "long after", 0.0),
        (1.0, "before", 0.5),
        (2.0, "on the clock", 0.0),
        (2.5, "now", 0.0),
    ]
    assert found[1].fields == {"subject": "m1", "levels": [1, 2]}
    assert found[3].time_ns == found[3].added_ns == run.manifest().started_ns + 2_500_000_000
    assert repr(found).splitlines()[1] == "1.000 s for 0.5 s: before, subject='m1', levels=[1, 2]"
    assert found._repr_html_().count("<tr>") == 5


def test_a_line_that_was_cut_is_left_out_and_the_next_is_whole(recorder):
    recorder.annotate("one")
    with (recorder.folder / "annotations.jsonl").open("ab") as file:
        file.write(b'{"time": 3')
    assert [a.text for a in open_run(recorder.folder).annotations] == ["one"]
    recorder.annotate("two")
    assert [a.text for a in open_run(recorder.folder).annotations] == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"text": ""}, "text=''"),
        ({"text": 3}, "text=3"),
        ({"text": "x", "time": "noon"}, "time='noon': wanted seconds"),
        ({"text": "x", "time": float("nan")}, "time=nan: wanted seconds"),
        ({"text": "x", "time": datetime(2026, 1, 1)}, "wanted a date with its time zone"),
        ({"text": "x", "duration": -1}, "duration=-1: wanted seconds"),
        ({"text": "x", "what": object()}, "fields what: wanted plain data"),
        ({"text": "x", "what": np.ones(3)}, "fields what: wanted plain data"),
    ],
)
def test_bad_notes_are_refused_and_leave_nothing(recorder, arguments, says):
    with pytest.raises(ConfigurationError, match=says):
        recorder.annotate(**arguments)
    assert not (recorder.folder / "annotations.jsonl").exists()


def test_without_a_run_there_is_nothing_to_annotate():
    recorder = Recorder(Recorder.settings_type.checked())
    recorder.clock = ManualClock()
    with pytest.raises(RecordingError, match="start the recorder first"):
        recorder.annotate("x")


def test_where_a_note_cannot_be_written_it_says_so(recorder, tmp_path):
    (recorder.folder / "annotations.jsonl").mkdir()
    with pytest.raises(RecordingError, match="cannot be written"):
        recorder.annotate("x", time=datetime.now(UTC))


def test_a_note_to_a_run_that_vanished_makes_none(recorder):
    run = open_run(recorder.folder)
    recorder.close()
    shutil.rmtree(recorder.folder)
    for annotate in (recorder.annotate, run.annotate):
        with pytest.raises(RecordingError, match=r"cannot be (written|read)"):
            annotate("x", time=1.0)
    assert not recorder.folder.exists()


def test_half_a_line_is_not_taken_away_from_who_is_writing_it(recorder, monkeypatch):
    path = recorder.folder / "annotations.jsonl"
    recorder.annotate("one")
    line, comes = path.read_bytes(), threading.Event()

    @contextmanager
    def told(folder):
        comes.set()
        with notes_locked(folder):
            yield

    monkeypatch.setattr(annotations, "notes_locked", told)
    other = threading.Thread(target=recorder.annotate, args=("two",))
    with notes_locked(recorder.folder), path.open("ab", 0) as file:
        file.write(line[:20])
        other.start()
        assert comes.wait(10)
        other.join(0.05)
        file.write(line[20:])
    other.join()
    assert [note.text for note in open_run(recorder.folder).annotations] == ["one", "one", "two"]


HAMMER = """
import os, signal, sys, threading
from pyacq_lab.recording import open_run

run = open_run(sys.argv[1])

def hammer(who):
    for i in range(1000 if who.startswith("killed") else 15):
        run.annotate(f"{who} {i}", time=float(i))
        os.write(1, f"{who} {i}\\n".encode())

children = []
for child in ("killed", "one", "two"):
    if (pid := os.fork()) == 0:
        threads = [threading.Thread(target=hammer, args=(f"{child} {k}",)) for k in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        os._exit(0)
    children.append(pid)
[os.waitpid(pid, 0) for pid in children[1:]]
os.kill(children[0], signal.SIGKILL)
os.waitpid(children[0], 0)
"""


def test_processes_and_threads_that_note_at_once_lose_no_note(recorder):
    program = [sys.executable, "-c", HAMMER, str(recorder.folder)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        mine = [recorder.annotate(f"mine {i}").text for i in range(15)]
        told, _ = process.communicate()
    assert process.returncode == 0
    acknowledged = told.splitlines() + mine
    assert len(acknowledged) > 75
    found = [note.text for note in open_run(recorder.folder).annotations]
    assert set(acknowledged) <= set(found)
    assert len(set(found)) == len(found) <= len(acknowledged) + 2  # of the one that was killed
