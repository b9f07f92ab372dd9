"""Messages of Remote Data Access: there and back, and damaged."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.devices.rda import GUID, HEADER, Block, Marker, Start, Stop, decode, encode, size_of
from pyacq_lab.errors import ProtocolError

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
U32 = st.integers(0, 2**32 - 1)
MARKERS = st.lists(st.builds(Marker, U32, U32, st.integers(-1, 99), WORDS, WORDS), max_size=3)


def decoded(message, n_channels=0):
    raw = encode(message)
    assert size_of(raw[: HEADER.size]) == len(raw)
    return decode(raw, n_channels)


@given(st.floats(1, 1e6), st.lists(st.tuples(st.floats(1e-3, 1e3), WORDS), min_size=1, max_size=4))
def test_start_there_and_back(interval, channels):
    message = Start(interval, tuple(r for r, _ in channels), tuple(n for _, n in channels))
    assert decoded(message) == message


@given(U32, st.sampled_from(["<i2", "<f4"]), st.integers(0, 4), st.integers(1, 3), MARKERS)
def test_block_there_and_back(number, dtype, n_points, n_channels, markers):
    data = np.arange(n_points * n_channels).astype(dtype).reshape(n_points, n_channels)
    got = decoded(Block(number, data, tuple(markers)), n_channels)
    assert (got.number, got.markers, got.data.dtype.str) == (number, tuple(markers), dtype)
    np.testing.assert_array_equal(got.data, data)


def test_stop_and_what_is_not_known():
    assert decoded(Stop()) == Stop()
    assert decode(HEADER.pack(GUID, HEADER.size, 10000), 3) is None  # keep-alive


def test_bytes_are_those_of_the_manual():
    raw = encode(Start(2000.0, (0.5,), ("Fp1",)))
    assert raw[:16] == bytes.fromhex("8e45584396c9864caf4a98bbf6c91450")
    assert struct.unpack("<IIId", raw[16:36]) == (len(raw), 1, 1, 2000.0)
    assert raw[36:] == struct.pack("<d", 0.5) + b"Fp1\0"


@pytest.mark.parametrize(
    "header", [b"x" * 24, GUID + struct.pack("<II", 23, 1), GUID + struct.pack("<II", 2**31, 4)]
)
def test_foreign_bytes_are_refused(header):
    with pytest.raises(ProtocolError, match="Remote Data Access"):
        size_of(header)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_message_cut_short_is_damaged(cut):
    block = Block(7, np.ones((4, 2), "<f4"), (Marker(1, 1, -1, "Stimulus", "S  1"),))
    raw = encode(block)
    with pytest.raises(ProtocolError, match="damaged"):
        decode(raw[:-cut], 2)
