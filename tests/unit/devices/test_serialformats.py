"""Bytes of a serial line to samples, however they are cut."""

from __future__ import annotations

import functools
import operator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.devices.serialformats import Frames, LineCutter, NumberLines
from pyacq_lab.errors import ConfigurationError


def fed(parser, data, cuts=()):
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    return [got for a, b in pairwise(edges) for got in parser.feed(data[a:b])]


def totals(runs):
    """Samples, and at which of them how many were lost."""
    at, lost = 0, {}
    for n, samples in runs:
        if n:
            lost[at] = lost.get(at, 0) + n
        at += len(samples)
    return np.concatenate([samples for _, samples in runs]).tolist() if runs else [], lost


CUTS = st.lists(st.integers(0, 80), max_size=8)


@given(CUTS)
def test_lines_of_numbers(cuts):
    data = b"cut short,1\r\n1,2\r\n-3.5,4e2\r\n\r\n5,oops\r\n6\r\n7,8\r\n9,1"
    parser = NumberLines(2, ",", leave_first=True)
    rows, lost = totals(fed(parser, data, cuts))
    assert (rows, lost) == ([[1, 2], [-3.5, 400], [7, 8]], {2: 2})
    assert parser.fault == "b'6': 1 numbers, wanted 2"


def test_lines_by_white_space_from_the_first_one():
    assert totals(fed(NumberLines(2, "", leave_first=False), b" 1\t2 \n3 4\n")) == ([[1, 2], [3, 4]], {})


@given(CUTS)
def test_lines_of_text(cuts):
    assert fed(LineCutter(leave_first=True), b"rest\nGr\xc3\xb6\xc3\x9fe 1\r\n\r\n x \nmore", cuts) == [
        "Größe 1".encode(), b" x ",
    ]  # fmt: skip


def test_what_is_no_text_is_not_kept():
    cutter = LineCutter(leave_first=False)
    cutter.feed(b"\0" * 300_000)
    assert len(cutter._rest) <= 65536


def frame(numbers, count=None, checksum="none"):
    body = (b"" if count is None else bytes([count % 256])) + np.array(numbers, "<i2").tobytes()
    tail = {
        "none": b"",
        "sum8": bytes([sum(body) % 256]),
        "xor8": bytes([functools.reduce(operator.xor, body)]),
    }
    return b"\xa5\x5a" + body + tail[checksum]


@given(CUTS, st.sampled_from(["none", "sum8", "xor8"]), st.booleans())
def test_frames_there_and_back(cuts, checksum, counter):
    rows = [[i, -i, 0x5AA5] for i in range(8)]  # the sync word among the numbers
    data = b"\x01\x02" + b"".join(
        frame(r, 250 + i if counter else None, checksum) for i, r in enumerate(rows)
    )
    parser = Frames(b"\xa5\x5a", np.dtype("<i2"), 3, counter, checksum)
    assert totals(fed(parser, data, cuts)) == (rows, {})


@given(CUTS)
def test_frames_that_were_counted_but_never_came_are_lost(cuts):
    data = b"".join(frame([i], i, "sum8") for i in (253, 254, 2, 3, 10))
    parser = Frames(b"\xa5\x5a", np.dtype("<i2"), 1, counter=True, checksum="sum8")
    assert totals(fed(parser, data, cuts)) == ([[253], [254], [2], [3], [10]], {2: 3, 4: 6})


@given(CUTS)
def test_a_damaged_frame_is_one_lost_sample(cuts):
    frames = [frame([i, i], checksum="sum8") for i in range(5)]
    frames[2] = frames[2][:3] + b"\x77" + frames[2][4:]
    parser = Frames(b"\xa5\x5a", np.dtype("<i2"), 2, counter=False, checksum="sum8")
    assert totals(fed(parser, b"".join(frames), cuts)) == ([[0, 0], [1, 1], [3, 3], [4, 4]], {2: 1})
    assert parser.fault == "checksum"


def test_bytes_between_frames_are_damage():
    parser = Frames(b"\xa5\x5a", np.dtype("<i2"), 1, counter=False, checksum="none")
    assert totals(fed(parser, frame([1]) + b"??" + frame([2]))) == ([[1], [2]], {1: 1})
    assert parser.fault == "2 bytes before the sync word"


def test_a_frame_must_begin_with_something():
    with pytest.raises(ConfigurationError, match="must begin with something"):
        Frames(b"", np.dtype("<i2"), 1, counter=False, checksum="none")
