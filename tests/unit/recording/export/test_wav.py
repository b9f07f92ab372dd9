"""WAV: read back by scipy and by Replay."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.io import wavfile

from pyacq_lab.devices.recordings import load_file
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export import ExportWarning, plan

from .conftest import FLOATS, FLOATS_SPEC, RAW


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<i4", "<f4", "<f8"])
def test_samples(record, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "BLOCK_NBYTES", 24)
    data = np.arange(21).reshape(7, 3).astype(dtype)
    run = record({"x": (StreamSpec.of(dtype, shape=(-1, 3), sample_rate=8000.0), [Chunk(0, data)])})
    path = run.export(tmp_path / "x.wav")
    rate, got = wavfile.read(path)
    assert rate == 8000
    assert got.dtype == np.dtype(dtype).newbyteorder("<")
    np.testing.assert_array_equal(got, data)
    assert path.stat().st_size == 8 + int.from_bytes(path.read_bytes()[4:8], "little")


def test_what_it_cannot_hold_is_told(record, ints, tmp_path):
    run = record({"x": ints})
    wanted = r"left out: the time of the first sample, units \(mV\), scale and offset .*, channel names"
    with pytest.warns(ExportWarning, match=wanted):
        run.export(tmp_path / "x.wav")
    np.testing.assert_array_equal(load_file(str(tmp_path / "x.wav"), None)["out"].data, RAW)


def test_gaps(record, gapped, tmp_path):
    chunks = [Chunk(0, FLOATS[:5]), Chunk(8, FLOATS[8:])]
    run = record({"i": gapped, "f": (FLOATS_SPEC.replace(units=""), chunks)})
    with pytest.raises(ConfigurationError, match=r"has gaps, which a WAV file of integers cannot say"):
        run.export(tmp_path / "x.wav", streams="i")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, got = wavfile.read(run.export(tmp_path / "x.wav", streams="f"))
    assert np.isnan(got[5:8]).all()
    np.testing.assert_array_equal(got[8:], FLOATS[8:])


def test_refusals(record, ints, floats, tmp_path):
    slow = StreamSpec.of("<f4", shape=(-1, 1), sample_rate=0.5)
    words = StreamSpec.of("<u2", shape=(-1, 1), sample_rate=1.0)
    ones = np.ones((2, 1))
    run = record(
        {
            "i": ints,
            "slow": (slow, [Chunk(0, ones.astype("<f4"))]),
            "words": (words, [Chunk(0, ones.astype("<u2"))]),
        }
    )
    with pytest.raises(ConfigurationError, match=r"one stream from one start, these are 3: .*streams="):
        run.export(tmp_path / "x.wav")
    with pytest.raises(ConfigurationError, match=r"a whole number of Hz, 'slow' has 0\.5"):
        run.export(tmp_path / "x.wav", streams="slow")
    with pytest.raises(ConfigurationError, match="wanted a signal of uint8, int16, int32 or floats"):
        run.export(tmp_path / "x.wav", streams="words")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
