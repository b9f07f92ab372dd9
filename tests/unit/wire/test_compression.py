"""Samples are packed and come back; what is damaged is refused and asks for no memory."""

from __future__ import annotations

import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pyacq_lab.errors import MissingDependency, ProtocolError
from pyacq_lab.model.stream import Compression, StreamSpec
from pyacq_lab.wire.compression import pack, unpack

CODECS = [codec for codec in get_args(Compression) if codec]


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_packed_comes_back(codec) -> None:
    data = np.sin(np.arange(5000) / 300).astype("<f4").reshape(-1, 5)
    packed = pack(data, codec, 4)
    assert len(packed) < data.nbytes
    np.testing.assert_array_equal(np.frombuffer(unpack(packed, data.nbytes), "<f4"), data.reshape(-1))


@given(
    st.sampled_from(CODECS),
    npst.arrays(st.sampled_from(["u1", "<i2", ">i4", "<f8"]), st.integers(1, 300)),
)
def test_samples_of_all_kinds_come_back_bit_by_bit(codec, data) -> None:
    packed = pack(data, codec, data.dtype.itemsize)
    if packed is not None:
        assert bytes(unpack(packed, data.nbytes)) == data.tobytes()


def test_what_would_become_no_smaller_is_not_packed() -> None:
    assert pack(np.random.default_rng(0).bytes(1000), "lz4", 1) is None


@pytest.mark.parametrize("how", ["empty", "cut", "zeros", "ones", "longer", "another length"])
def test_damaged_bytes_are_refused(how: str) -> None:
    data = np.arange(1000, dtype="<i4")
    good = pack(data, "zstd", 4)
    bad = {
        "empty": b"",
        "cut": good[:-9],
        "zeros": bytes(len(good)),
        "ones": b"\xff" * len(good),
        "longer": good[:4] + (2**31 - 1).to_bytes(4, "little") + good[8:],
        "another length": good,
    }[how]
    with pytest.raises(ProtocolError, match="packed samples"):
        unpack(bad, 3996 if how == "another length" else data.nbytes)


def test_a_missing_library_is_named_with_what_to_do(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "blosc2", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[compression\]'"):
        pack(b"1234", "lz4", 1)
    StreamSpec.of("<f4", compression="lz4")  # a description needs no library
