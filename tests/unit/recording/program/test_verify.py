"""``pyacq-lab runs verify`` and ``recover``."""

from __future__ import annotations

import json
import os

from pyacq_lab.cli import main


def test_what_is_whole_is_said_and_needs_no_mending(folder, capsys):
    run = str(folder / "run_1")
    assert main(["runs", "verify", run, run]) == 0
    out, err = capsys.readouterr()
    assert out.count(f"{run} (stopped): all is whole") == 2
    assert "ecg, segment 0: 30 samples, none damaged" in out
    assert err == ""
    assert main(["runs", "recover", run]) == 0
    assert "nothing was to be done" in capsys.readouterr().out


def test_damage_is_told_and_mended(folder, capsys, monkeypatch):
    run = folder / "run_1"
    shard = run / "streams/ecg/1/c/0/0"
    os.truncate(shard, 4096 + 10 * 4 + 1)
    assert main(["runs", "verify", str(run)]) == 1
    out = capsys.readouterr().out
    assert "ecg, segment 1: 30 samples, 15 damaged" in out
    assert "damaged: [110, 120)" in out
    assert "damaged: [125, 130)" in out
    assert "`pyacq-lab runs recover" in out
    assert main(["runs", "verify", str(run), "--json"]) == 1
    [told] = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert [d["start"] for s in told["report"]["segments"] for d in s["damaged"]] == [110, 125]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["runs", "recover", str(run)]) == 0
    out, err = capsys.readouterr()
    assert "samples [110, 120) are lost, and a gap now" in out
    assert "100%" in err
    assert main(["runs", "verify", str(run)]) == 0
    assert "(recovered): all is whole" in capsys.readouterr().out


def test_no_run_folder(folder, capsys):
    assert main(["runs", "verify", str(folder)]) == 1
    assert "is not a run folder" in capsys.readouterr().err
