"""``pyacq-lab runs info``."""

from __future__ import annotations

import json

import pytest

from pyacq_lab.cli import main
from pyacq_lab.model.rig import HostEntry, NodeEntry, NodeGroupEntry, NodeTypeEntry, Rig
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder
from pyacq_lab.recording.program import output
from pyacq_lab.testing import ManualClock


def test_in_words(folder, capsys):
    assert main(["runs", "info", str(folder / "run_1")]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["samples", "62,", "of", "which", "10", "lost", "in", "2", "gap(s)"] in lines
    assert "ecg: analogsignal, 2 of <i2 in mV, 10 Hz" in out
    assert "channels: I, II" in out
    assert "units: raw * 0.5 + 0.0" in out
    assert "marks: event, events, 10 Hz" in out
    assert "pyacq_lab" in out
    rows = [line for line in lines if line[1:3] == ["[100,", "130)"]]
    assert [row[:12] for row in rows] == [
        ["0", "[100,", "130)", "0.500000", "s", "3.000", "s", "1e-06", "s", "1", "5", "none"],
        ["1", "[100,", "130)", "100.500000", "s", "3.000", "s", "1e-06", "s", "1", "5", "none"],
    ]


def test_as_json(folder, capsys):
    assert main(["runs", "info", str(folder / "run_1"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    ecg = told["streams"][0]
    assert (ecg["units"], ecg["scale"], ecg["channel_names"]) == ("mV", 0.5, ["I", "II"])
    assert ecg["segments"][1]["first_time"] == 100.5
    assert ecg["ledger"]["sent"] == 0  # nothing came by a connection
    assert told["streams"][1]["segments"][0]["kind"] == "events"
    assert told["streams"][2]["segments"] == []


def test_no_run(tmp_path, capsys):
    assert main(["runs", "info", str(tmp_path)]) == 1
    assert "is not a run folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("nbytes", "wanted"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (2e15, "2e+03 TB")],
)
def test_sizes(nbytes, wanted):
    assert output.size_text(nbytes) == wanted


@pytest.mark.parametrize(("seconds", "wanted"), [(0.5, "0.500 s"), (60, "0:01:00"), (90_061.4, "25:01:01")])
def test_durations(seconds, wanted):
    assert output.seconds_text(seconds) == wanted


def test_the_rig_is_told_in_short_tables(tmp_path, capsys):
    recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "run")))
    recorder.clock = ManualClock()
    node = NodeEntry(
        name="amp",
        nodegroup="lab",
        role="source",
        type=NodeTypeEntry(name="Amplifier", registered="defined", source="class Amplifier(Source): ..."),
        settings={"gain": 2, "taps": list(range(1000))},
    )
    rig = Rig(
        hosts=(HostEntry(name="rig1", python="3.12", packages={"numpy": "2.1"}),),
        nodegroups=(NodeGroupEntry(name="lab", host="rig1"),),
        nodes=(node,),
    )
    recorder.take_rig(rig, "recorder")
    recorder.open({"ecg": StreamSpec()})
    recorder.close()
    assert main(["runs", "info", str(recorder.folder)]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["rig1", "3.12", "numpy", "2.1"] in lines
    assert ["amp", "lab", "Amplifier", "created", "gain=2,"] in [line[:5] for line in lines]
    assert "class Amplifier" not in out
    assert max(map(len, out.splitlines())) < 200
    assert main(["runs", "info", str(recorder.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["more"]["rig"]["nodes"][0]["type"]["source"]
