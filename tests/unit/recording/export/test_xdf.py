"""XDF: read back by pyxdf and by Replay."""

from __future__ import annotations

import numpy as np
import pytest
import pyxdf

from pyacq_lab.devices.recordings import load_file
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export import ExportWarning, plan

from .conftest import FLOATS, FLOATS_SPEC, RAW


def read(path):
    streams, head = pyxdf.load_xdf(path)
    return {s["info"]["name"][0]: s for s in streams}, head


def test_samples_labels_and_times(record, ints, floats, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(plan, "BLOCK_NBYTES", 24)
    run = record({"ints": ints, "f": floats})
    streams, head = read(run.export(tmp_path / "x.xdf"))
    assert head["info"]["datetime"] == [run.started.isoformat()]
    assert caplog.messages == []  # pyxdf finds nothing to remark
    got = streams["ints"]
    np.testing.assert_array_equal(got["time_series"], RAW * 0.5 + 1.0)
    np.testing.assert_allclose(got["time_stamps"], 0.5 + np.arange(20) / 10, rtol=1e-9)
    channels = got["info"]["desc"][0]["channels"][0]["channel"]
    assert [(c["label"], c["unit"]) for c in channels] == [([n], ["mV"]) for n in "xyz"]
    assert got["info"]["desc"][0]["recording"][0]["first_index"] == ["100"]
    assert got["footer"]["info"]["sample_count"] == ["20"]
    assert (got["clock_times"], got["clock_values"]) == ([0.5], [0.0])
    got = streams["f"]
    assert got["info"]["channel_format"] == ["float32"]
    np.testing.assert_array_equal(got["time_series"], FLOATS)
    np.testing.assert_allclose(got["time_stamps"], 0.75 + np.arange(20) / 20, rtol=1e-9)


def test_a_gap_is_not_joined(record, gapped, tmp_path):
    got = read(record({"x": gapped}).export(tmp_path / "x.xdf"))[0]["x"]
    wanted = RAW * 0.5 + 1.0
    wanted[5:10] = np.nan
    np.testing.assert_array_equal(got["time_series"], wanted)
    np.testing.assert_allclose(got["time_stamps"], 0.5 + np.arange(20) / 10, rtol=1e-9)
    gap = got["info"]["desc"][0]["recording"][0]["gap"][0]
    assert gap == {"first_index": ["105"], "stop_index": ["110"], "reason": ["overrun"]}


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<f2", ">f4", ">f8"])
def test_types(record, now, dtype, tmp_path):
    data = np.array([[0], [1], [1]]).astype(dtype)
    if data.dtype.kind in "iu":
        data[1:, 0] = np.iinfo(dtype).min, np.iinfo(dtype).max
    spec = StreamSpec.of(dtype, shape=(-1, 1), sample_rate=10.0)
    run = record({"x": (spec, [Chunk(0, data, time_ns=now)])})
    np.testing.assert_array_equal(read(run.export(tmp_path / "x.xdf"))[0]["x"]["time_series"], data)


def test_events(record, marks, tmp_path):
    run = record({"marks": marks})
    with pytest.warns(ExportWarning, match="its channel, code, duration are left out"):
        run.export(tmp_path / "x.xdf")
    got = read(tmp_path / "x.xdf")[0]["marks"]
    assert got["time_series"] == [["go"], ["µ-wave"]]
    np.testing.assert_allclose(got["time_stamps"], [0.5, 1.2])


def test_replay(record, floats, marks, tmp_path):
    run = record({"f": floats, "marks": marks})
    with pytest.warns(ExportWarning):
        run.export(tmp_path / "x.xdf")
    tracks = load_file(str(tmp_path / "x.xdf"), None)
    np.testing.assert_array_equal(tracks["f"].data, FLOATS)
    assert (tracks["f"].units, tracks["f"].sample_rate) == ("V", 20.0)
    assert [(e.label, e.time_ns) for e in tracks["marks"].events] == [("go", 0), ("µ-wave", 700_000_000)]


def test_what_is_not_known_or_not_possible(record, tmp_path):
    odd = StreamSpec.of("<u8", shape=(-1, 1), sample_rate=1.0, channel_names=["a\x00<b>"])
    run = record({"f": (FLOATS_SPEC, [Chunk(0, FLOATS)]), "odd": (odd, [Chunk(0, np.ones((2, 1), "<u8"))])})
    with pytest.raises(ConfigurationError, match=r"XDF cannot hold .*'odd'.*leave it out"):
        run.export(tmp_path / "x.xdf")
    with pytest.warns(ExportWarning, match="'f': its time is unknown"):
        run.export(tmp_path / "x.xdf", streams="f")


def test_names_that_are_no_xml(record, now, tmp_path):
    spec = StreamSpec.of("<f4", shape=(-1, 1), sample_rate=1.0, channel_names=["a\x00<b>"])
    run = record({"x&y": (spec, [Chunk(0, np.ones((2, 1), "<f4"), time_ns=now)])})
    got = read(run.export(tmp_path / "x.xdf"))[0]["x&y"]
    assert got["info"]["desc"][0]["channels"][0]["channel"][0]["label"] == ["a\ufffd<b>"]
