"""Notes on a run in the formats that have a place for them."""

from __future__ import annotations

import json

import h5py
import pyedflib
import pynwb
import pytest
import pyxdf

from pyacq_lab.devices.recordings import load_file
from pyacq_lab.recording.export import ExportWarning


@pytest.fixture
def run(record, ints):
    """From 0.5 to 2.5 s, with a note while it was recorded and one before."""
    run = record({"i": ints})
    run.annotate("lights off", 1.25, 0.5, by="ada")
    run.annotate("early", 0.1)
    return run


def test_hdf5(run, tmp_path):
    with h5py.File(run.export(tmp_path / "x.h5")) as file:
        early, note = file["annotations"][()]
    assert (early["text"], early["time"]) == (b"early", pytest.approx(0.1))
    assert (note["text"], note["time"], note["duration"]) == (b"lights off", 1.25, 0.5)
    assert json.loads(note["fields"]) == {"by": "ada"}
    assert note["time_ns"] == run.annotations[1].time_ns


def test_nwb(run, tmp_path):
    path = run.export(tmp_path / "x.nwb")
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(path, "r") as io:
        table = io.read().events["annotations"].to_dataframe()
        assert list(table["annotation"]) == ["early", "lights off"]
        assert list(table["timestamp"]) == pytest.approx([0.1, 1.25])
    notes = load_file(str(path), None)["annotations"].events
    assert [(e.time_ns, e.label) for e in notes] == [(0, "early"), (1_150_000_000, "lights off")]


def test_xdf(run, tmp_path):
    streams, _ = pyxdf.load_xdf(run.export(tmp_path / "x.xdf"))
    (notes,) = [s for s in streams if s["info"]["name"] == ["annotations"]]
    assert notes["time_series"] == [["early"], ["lights off, by='ada'"]]
    assert list(notes["time_stamps"]) == pytest.approx([0.1, 1.25])


def test_edf(run, tmp_path):
    with pytest.warns(ExportWarning, match="1 notes are left out: they are about times"):
        path = run.export(tmp_path / "x.edf")
    with pyedflib.EdfReader(str(path)) as reader:
        onsets, durations, texts = (values.tolist() for values in reader.readAnnotations())
    assert (onsets, durations, texts) == ([0.75], [0.5], ["lights off, by='ada'"])


def test_neo(run):
    (notes,) = run.to_neo().segments[0].epochs
    assert notes.labels.tolist() == ["early", "lights off, by='ada'"]
    assert notes.times.magnitude.tolist() == pytest.approx([0.1, 1.25])
