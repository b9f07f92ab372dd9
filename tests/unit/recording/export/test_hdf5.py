"""HDF5: all that the run holds, read back by h5py."""

from __future__ import annotations

import h5py
import msgspec
import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.events import events_in
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export import plan
from pyacq_lab.recording.manifest import Manifest

from .conftest import FLOATS, RAW


def test_everything_is_kept(record, gapped, floats, marks, events, now, tmp_path):
    run = record({"a/b": gapped, "f": floats, "marks": marks}, {"f": floats})
    path = run.export(tmp_path / "run.h5")
    with h5py.File(path) as file:
        assert msgspec.json.decode(file["run.json"][()], type=Manifest) == run.manifest()
        assert file.attrs["started"] == run.started.isoformat()
        assert sorted(file["streams/f"]) == ["0", "1"]
        samples = file["streams/a%2Fb/0/samples"]
        wanted = RAW.copy()
        wanted[5:10] = 0
        np.testing.assert_array_equal(samples, wanted)
        assert samples.dtype == "<i2"
        labels = file["streams/a%2Fb/0"]
        assert labels["channel_names"].asstr()[()].tolist() == ["x", "y", "z"]
        assert (samples.attrs["units"], labels["scale"][()], labels["offset"][()]) == ("mV", 0.5, 1.0)
        assert (samples.attrs["start"], samples.attrs["first_time"]) == (100, 0.5)
        assert (samples.attrs["rows_in_gaps"], samples.attrs["gap_fill"]) == (5, "0")
        gaps = file["streams/a%2Fb/0/gaps"][()]
        assert gaps.tolist() == [(105, 110, b"overrun")]
        assert file["streams/a%2Fb/0/times"][()].tolist() == [(100, now, 1000)]
        np.testing.assert_array_equal(file["streams/f/1/samples"], FLOATS)
        assert events_in(file["streams/marks/0/samples"][()]) == events


def test_a_gap_of_floats_is_nan(record, gapped, tmp_path):
    spec, items = gapped
    chunks = [c if not isinstance(c, Chunk) else Chunk(c.start, c.data.astype("<f8")) for c in items]
    record({"x": (spec.replace(dtype="<f8"), chunks)}).export(tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5") as file:
        got = file["streams/x/0/samples"][()]
    assert np.isnan(got[5:10]).all()
    np.testing.assert_array_equal(got[10:], RAW[10:])


def test_blocks_do_not_show(record, floats, monkeypatch, tmp_path):
    monkeypatch.setattr(plan, "BLOCK_NBYTES", 24)
    seen = []
    spec = floats[0].replace(shape=(-1, 9000))  # chunks of 7 rows
    data = np.arange(20 * 9000, dtype="<f4").reshape(20, 9000)
    run = record({"f": (spec, [Chunk(0, data)])})
    run.export(tmp_path / "f.h5", progress=lambda *told: seen.append(told))
    with h5py.File(tmp_path / "f.h5") as file:
        np.testing.assert_array_equal(file["streams/f/0/samples"], data)
        assert not file["streams/f/0/samples"].attrs["is_timed"]
    assert seen == [(7, 20), (14, 20), (20, 20)]


def test_a_type_that_hdf5_lacks_is_refused_and_leaves_nothing(record, floats, tmp_path):
    spec = StreamSpec.of("<M8[ns]", shape=(-1, 1), sample_rate=1.0)
    run = record({"when": (spec, [Chunk(0, np.zeros((3, 1), "<M8[ns]"))]), "f": floats})
    with pytest.raises(ConfigurationError, match=r"no type for samples of datetime64.*leave the stream out"):
        run.export(tmp_path / "x.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    run.export(tmp_path / "x.h5", streams="f")
