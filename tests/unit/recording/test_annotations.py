"""Notes on a run: where they stand in time, and that they stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, RecordingError
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run
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
