"""CSV: read back by csv, numpy and Replay."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from pyacq_lab.devices.recordings import load_file
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export import ExportWarning, plan

from .conftest import FLOATS, RAW


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_values_in_units_with_nan_in_gaps(record, gapped, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "BLOCK_NBYTES", 24)
    path = record({"x": gapped}).export(tmp_path / "x.csv")
    assert rows(path)[0] == ["time (s)", "x (mV)", "y (mV)", "z (mV)"]
    got = np.loadtxt(path, delimiter=",", skiprows=1)
    wanted = RAW * 0.5 + 1.0
    wanted[5:10] = np.nan
    np.testing.assert_array_equal(got[:, 1:], wanted)
    np.testing.assert_allclose(got[:, 0], 0.5 + np.arange(20) / 10, atol=1e-9)
    track = load_file(str(path), 10.0)["out"]
    np.testing.assert_array_equal(track.data, wanted)
    assert (track.channel_names, track.units, track.gaps) == (("x", "y", "z"), "mV", ((5, 10),))


def test_floats_are_the_same_when_read_back(record, floats, tmp_path):
    path = record({"f": floats}).export(tmp_path / "x.csv")
    np.testing.assert_array_equal(np.loadtxt(path, delimiter=",", skiprows=1)[:, 1:].astype("f4"), FLOATS)


def test_large_integers_stay_integers(record, tmp_path):
    spec = StreamSpec.of("<u8", shape=(-1, 1), sample_rate=1.0, channel_names=["a,b"])
    run = record({"x": (spec, [Chunk(0, np.array([[2**64 - 1], [1]], "<u8"))])})
    with pytest.warns(ExportWarning, match="'x': its time is unknown"):
        path = run.export(tmp_path / "x.csv")
    assert rows(path) == [["time (s)", "a,b"], ["0.000000000", str(2**64 - 1)], ["1.000000000", "1"]]


def test_switches(record, now, tmp_path):
    spec = StreamSpec.of("?", streamtype="digitalsignal", shape=(-1, 2), sample_rate=1.0)
    path = record({"x": (spec, [Chunk(0, np.array([[True, False]]), time_ns=now)])}).export(
        tmp_path / "x.csv"
    )
    assert rows(path)[1] == ["0.500000000", "1", "0"]


def test_events(record, marks, tmp_path):
    path = record({"marks": marks}).export(tmp_path / "x.csv")
    assert rows(path) == [
        ["time (s)", "index", "duration", "channel", "code", "label"],
        ["0.500000000", "100", "0", "-1", "-1", "go"],
        ["1.200000000", "107", "5", "1", "7", "µ-wave"],
    ]


def test_an_event_without_a_time_says_so(record, untimed_marks, tmp_path):
    path = record({"marks": untimed_marks}).export(tmp_path / "x.csv")
    assert rows(path)[-1] == ["nan", "-1", "0", "-1", "-1", "when?"]


def test_refusals(record, floats, marks, tmp_path):
    run = record({"f": floats, "marks": marks})
    with pytest.raises(ConfigurationError, match=r"a CSV file holds one stream .* 'f', 'marks'; choose"):
        run.export(tmp_path / "x.csv")
