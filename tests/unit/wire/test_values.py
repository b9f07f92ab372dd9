"""Values come back as they went; damaged messages raise ProtocolError and nothing else."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.status import NodeStatus
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.wire.envelope import RequestDecoder, ServerMessageDecoder, encode_reply, encode_request
from pyacq_lab.wire.messages import Call, GroupRequest, Hello, HostRequest, Ping


def there_and_back(value: Any) -> Any:
    frames = [bytes(memoryview(f).cast("B")) if len(memoryview(f)) else b"" for f in encode_reply(7, value)]
    reply = ServerMessageDecoder().decode(frames)
    assert reply.id == 7
    return reply.value


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (a != a and b != b)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
    hnp.arrays(
        st.sampled_from(["<f8", ">i4", "u1", "?", "c8", "<M8[us]", "S3"]), hnp.array_shapes(min_side=0)
    ),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=5), inner, max_size=4),
        st.dictionaries(st.integers(), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(values)
def test_values_come_back_as_they_went(value: Any) -> None:
    assert same(there_and_back(value), value)


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(12)[::-2],
        np.zeros((0, 5), "f4"),
        np.array(3.5),
        np.zeros(3, [("a", "<i4"), ("b", ">f8", (2,))]),
        np.array(["2026-01-01", "NaT"], "M8[D]"),
    ],
    ids=["fortran", "negative stride", "empty", "scalar array", "structured", "datetime"],
)
def test_arrays_of_every_kind_come_back(array: np.ndarray) -> None:
    array.flags.writeable = False
    back = there_and_back(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.c_contiguous
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


def test_plain_objects_come_back() -> None:
    spec = StreamSpec.of([("a", "<i4")], shape=(-1,), sample_rate=5)
    status = NodeStatus(name="n", type="T", state="ready")  # pyright: ignore[reportArgumentType]
    things = (spec, status, {1, 2}, frozenset("a"), slice(1, None), range(3), bytearray(b"x"))
    assert there_and_back(things) == things
    assert there_and_back(np.float32(1.5)).dtype == np.float32


class Colour(Enum):
    RED = "red"


def test_enums_travel_as_their_value_and_paths_as_text() -> None:
    assert there_and_back(Colour.RED) == "red"
    assert there_and_back(Path("a/b")) == str(Path("a/b"))


@pytest.mark.parametrize("value", [object(), np.array([object()]), lambda: 0])
def test_what_cannot_travel_is_refused_by_name(value: object) -> None:
    with pytest.raises(ProtocolError, match=r"cannot travel|Python objects"):
        encode_reply(1, value)


def test_nesting_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ProtocolError, match="nested"):
        encode_reply(1, deep)


def _damaged(draw: st.DrawFn) -> list[bytes]:
    request = draw(
        st.sampled_from(
            [
                Ping(),
                Hello(1, "0.1", "app", 3.0),
                Call("node:x", "configure", (1, "a"), {"data": np.arange(5.0), "pair": (1, 2)}),
            ]
        )
    )
    frames = [bytes(memoryview(f).cast("B")) for f in encode_request(3, request)]
    index = draw(st.integers(0, len(frames) - 1))
    match draw(st.sampled_from(["cut", "flip", "drop", "grow"])):
        case "cut":
            frames[index] = frames[index][: draw(st.integers(0, max(0, len(frames[index]) - 1)))]
        case "flip" if frames[index]:
            at = draw(st.integers(0, len(frames[index]) - 1))
            frames[index] = frames[index][:at] + bytes([draw(st.integers(0, 255))]) + frames[index][at + 1 :]
        case "drop":
            del frames[index]
        case _:
            frames[index] += draw(st.binary(max_size=40))
    return frames


@given(st.composite(_damaged)())
def test_damaged_requests_decode_or_raise_protocol_error(frames: list[bytes]) -> None:
    for vocabulary in (HostRequest, GroupRequest):
        try:
            RequestDecoder(vocabulary).decode(frames)
        except ProtocolError:
            continue


def test_a_host_does_not_decode_what_only_nodegroups_serve() -> None:
    frames = encode_request(1, Call("group", "create_node", ("Recorder",)))
    with pytest.raises(ProtocolError):
        RequestDecoder(HostRequest).decode(frames)


def test_a_masked_array_is_refused_rather_than_stripped_of_its_mask() -> None:
    with pytest.raises(ProtocolError, match="mask"):
        encode_reply(1, np.ma.masked_array([1.0, 2.0], [False, True]))


def test_fields_out_of_order_come_back_by_name() -> None:
    whole = np.array([(1, 2.0, 3), (4, 5.0, 6)], [("a", "i4"), ("b", "f8"), ("c", "i2")])
    for part in (whole[["c", "a"]], whole[["c", "a"]][0]):
        back = there_and_back(part)
        assert back.dtype.names == ("c", "a")
        assert back.tolist() == part.tolist()
