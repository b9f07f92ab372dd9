"""``pyacq-lab runs export``."""

from __future__ import annotations

import json

import pynwb

from pyacq_lab.cli import main


def test_a_file_and_what_it_says(folder, capsys, monkeypatch):
    path = folder / "x.h5"
    arguments = ["runs", "export", str(folder / "run_1"), str(path), "--streams", "ecg"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"wrote {path} (")
    assert err == ""
    assert main(arguments) == 1
    assert "exists already" in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main([*arguments, "--overwrite"]) == 0
    assert "60.0/60.0" in capsys.readouterr().err


def test_what_is_lost_is_told(folder, capsys):
    assert main(["runs", "export", str(folder / "run_1"), str(folder / "x.edf"), "--segment", "0"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["runs", "export", str(folder / "run_1"), str(folder / "x.wav"), "--streams", "ecg"]) == 1
    assert "one stream from one start" in capsys.readouterr().err


def test_metadata(folder, capsys):
    (folder / "lab.json").write_text(json.dumps({"institution": "here", "subject": {"subject_id": "7"}}))
    arguments = ["runs", "export", str(folder / "run_1"), str(folder / "x.nwb"), "--metadata"]
    assert main([*arguments, str(folder / "lab.json")]) == 0
    with pynwb.NWBHDF5IO(folder / "x.nwb", "r") as io:
        file = io.read()
        assert (file.institution, file.subject.subject_id) == ("here", "7")
    (folder / "bad.json").write_text("[1]")
    capsys.readouterr()
    assert main([*arguments, str(folder / "bad.json"), "--overwrite"]) == 1
    assert "wanted a JSON object of fields" in capsys.readouterr().err
