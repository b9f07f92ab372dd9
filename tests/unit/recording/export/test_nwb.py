"""NWB: read back by pynwb, and valid by its own validator."""

from __future__ import annotations

import msgspec
import numpy as np
import pynwb
import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export import plan

from .conftest import FLOATS, INTS_SPEC, RAW


def exported(run, tmp_path, **options):
    path = run.export(tmp_path / "run.nwb", **options)
    assert not pynwb.validate(path=str(path))
    return pynwb.NWBHDF5IO(path, "r")


def test_samples_labels_and_times(record, ints, floats, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "BLOCK_NBYTES", 24)
    run = record({"a/b": ints, "f": floats}, {"f": floats})
    with exported(run, tmp_path) as io:
        file = io.read()
        assert file.session_start_time == run.started
        series = file.acquisition["a|b"]
        np.testing.assert_array_equal(series.data, RAW)
        assert series.data.dtype == "<i2"
        assert (series.conversion, series.offset, series.unit) == (0.5, 1.0, "mV")
        assert (series.starting_time, series.rate) == (0.5, 10.0)
        assert msgspec.json.decode(series.comments)["first_index"] == 100
        assert list(file.processing["channels"]["a|b"]["channel_name"]) == ["x", "y", "z"]
        np.testing.assert_array_equal(file.acquisition["f 1"].data, FLOATS)
        assert file.acquisition["f 0"].starting_time == 0.75


def test_gaps_are_nan_and_invalid_times(record, gapped, tmp_path):
    with exported(record({"x": gapped}), tmp_path) as io:
        file = io.read()
        series = file.acquisition["x"]
        wanted = RAW * 0.5 + 1.0
        wanted[5:10] = np.nan
        np.testing.assert_array_equal(series.data[:] * series.conversion + series.offset, wanted)
        times = file.invalid_times.to_dataframe()
        np.testing.assert_allclose(times[["start_time", "stop_time"]], [[1.0, 1.5]])
        assert list(times["tags"][0]) == ["x", "overrun"]


def test_a_scale_for_each_channel_is_applied(record, tmp_path):
    spec = INTS_SPEC.replace(scale=(1.0, 2.0, 3.0))
    with exported(record({"x": (spec, [Chunk(0, RAW)])}), tmp_path) as io:
        file = io.read()
        series = file.acquisition["x"]
        np.testing.assert_array_equal(series.data, RAW * [1.0, 2.0, 3.0] + 1.0)
        assert (series.conversion, series.offset) == (1.0, 0.0)
        assert list(file.processing["channels"]["x"]["scale"]) == [1.0, 2.0, 3.0]
        assert msgspec.json.decode(series.comments)["is_timed"] is False


def test_switches_are_numbers(record, tmp_path):
    spec = StreamSpec.of("?", streamtype="digitalsignal", shape=(-1, 2), sample_rate=10.0)
    bits = np.array([[0, 1], [1, 1], [1, 0]], bool)
    with exported(record({"x": (spec, [Chunk(0, bits), Chunk(4, bits)])}), tmp_path) as io:
        got = io.read().acquisition["x"].data[:]
        np.testing.assert_array_equal(got, [*bits, [np.nan, np.nan], *bits])


def test_events(record, marks, events, tmp_path):
    with exported(record({"marks": marks}), tmp_path) as io:
        table = io.read().events["marks"].to_dataframe()
        np.testing.assert_allclose(table["timestamp"], [0.5, 1.2])
        np.testing.assert_allclose(table["duration"], [0.0, 0.5])
        assert list(table["annotation"]) == [event.label for event in events]
        for field in ("code", "channel", "index"):
            assert list(table[field]) == [getattr(event, field) for event in events]


def test_the_inspector_finds_nothing_but_what_only_the_user_knows(record, gapped, floats, marks, tmp_path):
    from nwbinspector import Importance, inspect_nwbfile  # here, as it is large

    run = record({"x": gapped, "f": floats, "marks": marks}, {"f": floats})

    def found(path):
        messages = inspect_nwbfile(nwbfile_path=str(path))
        return [m.message for m in messages if m.importance.value >= Importance.BEST_PRACTICE_VIOLATION.value]

    assert found(run.export(tmp_path / "bare.nwb")) == ["Subject is missing."]
    metadata = {
        "experimenter": ["Lovelace, Ada"],
        "subject": {"subject_id": "7", "species": "Mus musculus", "sex": "U", "age": "P90D"},
    }
    assert found(run.export(tmp_path / "full.nwb", metadata=metadata)) == []


def test_metadata_are_checked(record, floats, tmp_path):
    run = record({"f": floats})
    with pytest.raises(ConfigurationError, match=r"wanted fields of pynwb.NWBFile.*'hair'"):
        run.export(tmp_path / "x.nwb", metadata={"hair": "brown"})
    with pytest.raises(ConfigurationError, match="only NWB has fields for it"):
        run.export(tmp_path / "x.h5", metadata={"institution": "here"})


def test_video_is_refused(record, tmp_path):
    spec = StreamSpec.of("u1", streamtype="video", shape=(-1, 4, 5, 3), sample_rate=10.0)
    run = record({"video": (spec, [Chunk(0, np.zeros((2, 4, 5, 3), "u1"))])})
    with pytest.raises(ConfigurationError, match="neither a signal nor events"):
        run.export(tmp_path / "run.nwb")
