"""Export of any format: names, refusals, and no file that is not whole."""

from __future__ import annotations

import os
import subprocess
import sys

import h5py
import pytest

from pyacq_lab.devices.recordings import EventTrack, load_file
from pyacq_lab.errors import ConfigurationError, MissingDependency, RecordingError, UnknownName
from pyacq_lab.recording.export import ExportWarning, export


def test_a_file_is_replaced_only_when_asked(record, floats, tmp_path):
    run = record({"f": floats})
    path = tmp_path / "x.h5"
    path.write_text("mine")
    with pytest.raises(RecordingError, match=r"exists already: .* overwrite=True"):
        run.export(path)
    assert path.read_text() == "mine"
    assert run.export(path, overwrite=True) == path
    assert h5py.is_hdf5(path)


def test_a_file_that_appears_meanwhile_is_not_replaced(record, floats, tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(RecordingError, match="exists already"):
        record({"f": floats}).export(path, progress=lambda done, total: path.write_text("mine"))
    assert path.read_text() == "mine"


def test_a_failure_leaves_nothing_and_the_old_file(record, floats, tmp_path):
    run = record({"f": floats})
    path = tmp_path / "x.h5"
    path.write_text("mine")

    def fail(done, total):
        raise OSError(28, "No space left on device")

    with pytest.raises(RecordingError, match=r"x.h5 cannot be written: .*No space left"):
        run.export(path, overwrite=True, progress=fail)
    assert path.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "x.h5"]


def test_a_draft_of_a_killed_process_goes_and_one_of_a_living_stays(record, floats, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".x.{dead.pid}-0123abcd.draft.h5"
    lives = tmp_path / f".x.{os.getpid()}-0123abcd.draft.h5"
    other = tmp_path / f".y.{dead.pid}-0123abcd.draft.h5"
    for path in (left, lives, other):
        path.write_text("half")
    record({"f": floats}).export(tmp_path / "x.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([lives.name, other.name, "run", "x.h5"])


@pytest.mark.parametrize(
    ("module", "suffix", "extra"),
    [("h5py", "h5", "hdf5"), ("pynwb", "nwb", "nwb"), ("hdmf.common", "nwb", "nwb")],
)
def test_missing_packages_are_named(record, floats, tmp_path, monkeypatch, module, suffix, extra):
    run = record({"f": floats})
    monkeypatch.setitem(sys.modules, module, None)
    wanted = rf"needs {module.split('.')[0]} .*pip install 'pyacq_lab\[{extra}\]'"
    with pytest.raises(MissingDependency, match=wanted):
        run.export(tmp_path / f"x.{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_refusals(record, floats, tmp_path):
    run = record({"f": floats, "none": (floats[0], [])})
    with pytest.raises(ConfigurationError, match=r"x.doc: wanted a name that ends in .h5, .hdf5.*or format="):
        run.export(tmp_path / "x.doc")
    with pytest.raises(ConfigurationError, match="format='doc': wanted one of 'hdf5'"):
        run.export(tmp_path / "x", "doc")
    with pytest.raises(UnknownName, match="no stream 'ecg'"):
        run.export(tmp_path / "x.h5", streams=["ecg"])
    with pytest.raises(UnknownName, match=r"segment=1: 'f' has 1 segment"):
        run.export(tmp_path / "x.h5", streams="f", segment=1)
    with pytest.raises(ConfigurationError, match="nothing to export, no sample was recorded of none"):
        run.export(tmp_path / "x.h5", streams="none")
    with pytest.raises(ConfigurationError, match=r"\['f', 'f'\]: wanted each name once"):
        run.export(tmp_path / "x.h5", streams=["f", "f"])
    with pytest.raises(ConfigurationError, match="is in the run folder"):
        run.export(run.path / "x.h5")
    with pytest.raises(RecordingError, match="is a folder"):
        run.export(run.path.parent, "hdf5", overwrite=True)
    with pytest.raises(RecordingError, match="cannot be written"):
        run.export(tmp_path / "nowhere" / "x.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_the_format_can_be_named(record, floats, tmp_path):
    assert h5py.is_hdf5(export(record({"f": floats}), tmp_path / "x.data", "hdf5"))


@pytest.mark.parametrize("suffix", ["xdf", "edf", "nwb"])
def test_events_without_a_time_are_left_out_and_counted(record, ints, untimed_marks, tmp_path, suffix):
    run = record({"ints": ints, "marks": untimed_marks})
    with pytest.warns(ExportWarning) as told:
        path = run.export(tmp_path / f"x.{suffix}")
    assert any("'marks': 1 events are left out, as their time is unknown" in str(w.message) for w in told)
    if suffix != "nwb":
        marks = next(t for t in load_file(str(path), None).values() if isinstance(t, EventTrack))
        assert [event.label for event in marks.events] == ["go", "µ-wave"]


def test_one_segment(record, floats, tmp_path):
    run = record({"f": floats}, {"f": floats})
    run.export(tmp_path / "x.h5", segment=1)
    with h5py.File(tmp_path / "x.h5") as file:
        assert list(file["streams/f"]) == ["1"]


def test_progress_counts_all_streams(record, floats, gapped):
    run = record({"f": floats, "i": gapped})
    seen = []
    run.export(run.path.parent / "x.h5", progress=lambda *told: seen.append(told))
    assert seen == [(20, 40), (40, 40)]
