"""``pyacq-lab runs ls``."""

from __future__ import annotations

import json
import shutil

from pyacq_lab.cli import main
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder
from pyacq_lab.testing import ManualClock


def test_a_table(folder, capsys):
    assert main(["runs", "ls", str(folder)]) == 0
    out, err = capsys.readouterr()
    head, row = out.splitlines()
    assert head.split() == [
        "name", "started", "(UTC)", "state", "duration", "streams", "samples", "gaps", "lost", "size",
    ]  # fmt: skip
    cells = row.split()
    assert cells[:8] == ["run_1", "2023-11-14", "22:13:20", "stopped", "0:01:43", "3", "62", "2"]
    assert cells[8] == "10"
    assert err == ""


def test_a_run_itself_and_json(folder, capsys):
    assert main(["runs", "ls", str(folder / "run_1"), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["samples"], run["gaps"], run["lost"], run["duration"]) == (62, 2, 10, 103.0)
    assert [stream["name"] for stream in run["streams"]] == ["ecg", "marks", "none"]
    files = sum(path.stat().st_size for path in (folder / "run_1").rglob("*") if path.is_file())
    assert 0 < run["nbytes"] <= 4096 * sum(1 for _ in (folder / "run_1").rglob("*")) + files


def test_nothing_there(tmp_path, capsys):
    assert main(["runs", "ls", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no run in {tmp_path}\n"
    assert main(["runs", "ls", str(tmp_path / "nowhere")]) == 1
    assert "is no folder" in capsys.readouterr().err


def test_a_damaged_run_is_named_beside_the_others(folder, capsys):
    (folder / "run_2").mkdir()
    (folder / "run_2" / "run.json").write_text("{")
    assert main(["runs", "ls", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert "run_1" in out
    assert err.startswith(f"unreadable: {folder / 'run_2'}/run.json is damaged")


def test_a_bar_on_a_terminal_only(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["runs", "ls", str(folder)]) == 0
    assert "/1.00 [" in capsys.readouterr().err


def test_a_run_that_was_not_finished_is_told_from_one_that_is_recorded(tmp_path, capsys):
    recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "live")))
    recorder.clock = ManualClock()
    recorder.open({"ecg": StreamSpec()})
    shutil.copytree(tmp_path / "live", tmp_path / "gone")
    assert main(["runs", "ls", str(tmp_path), "--json"]) == 0
    recorder.close()
    assert [run["state"] for run in json.loads(capsys.readouterr().out)] == ["unfinished", "recording"]
