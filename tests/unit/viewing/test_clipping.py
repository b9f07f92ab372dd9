from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.clipping import clipped


def spec(dtype, **fields):
    return StreamSpec.of(dtype, shape=(-1, 2), sample_rate=1.0, **fields)


@pytest.mark.parametrize(("value", "hit"), [(32767, [1]), (-32768, [1]), (32766, []), (0, [])])
def test_the_ends_of_an_integer_are_limits(value, hit):
    assert clipped([np.array([[1, 2], [3, value]], "<i2")], spec("<i2"), None) == hit


def test_zero_is_no_limit_of_an_unsigned_number():
    assert clipped([np.array([[0, 255]], "u1")], spec("u1")) == [1]


def test_floats_and_digital_lines_have_limits_only_where_they_are_told():
    data = [np.array([[9.0, -5.0]]), np.array([[0.0, 0.0]])]
    assert clipped(data, spec("<f8")) == []
    assert clipped(data, spec("<f8"), (-5.0, 10.0)) == [1]
    assert clipped(data, spec("<f8", scale=-1.0), (-9.0, 9.0)) == [0]
    lines = [np.array([[255, 0]], "u1")]
    assert clipped(lines, spec("u1", streamtype="digitalsignal")) == []


def test_nothing_clips_where_nothing_came():
    assert clipped([np.empty((0, 2), "<i2")], spec("<i2")) == []
