"""Channels go where they are told to, with all that is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import ChannelSplitter

NAMES = ("Fp1", "Fp2", "C3", "C4", "trigger", "1:2")
SPEC = StreamSpec.of(
    ">i2",
    shape=(-1, 6),
    sample_rate=100.0,
    units="uV",
    channel_names=NAMES,
    scale=0.5,
    offset=3.0,
    group_delay=0.1,
)


def splitter(spec=SPEC, **outputs):
    made = ChannelSplitter(ChannelSplitter.settings_type.checked(outputs=outputs))
    return made, made.describe({"in": spec})


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (["C4"], [3]),
        (["C4", "Fp1"], [3, 0]),
        ([0, -1], [0, 5]),
        (["0:2"], [0, 1]),
        (["::2", 1], [0, 2, 4, 1]),
        (["-2:"], [4, 5]),
        (["::-1"], [5, 4, 3, 2, 1, 0]),
        (["1:2"], [5]),  # a name, though it looks like a slice
        ([" 3 : 5 "], [3, 4]),
        (["2:", "Fp2"], [2, 3, 4, 5, 1]),
    ],
)
def test_selections(selection, wanted):
    made, specs = splitter(part=selection)
    assert specs["part"] == SPEC.replace(
        shape=(-1, len(wanted)), channel_names=tuple(NAMES[i] for i in wanted)
    )
    data = np.arange(60, dtype=">i2").reshape(10, 6)
    chunk = Chunk(7, data, 123, 45, 2)
    got = made.process(chunk, "in")["part"]
    np.testing.assert_array_equal(got.data, data[:, wanted])
    assert (got.start, got.time_ns, got.uncertainty_ns, got.epoch) == (7, 123, 45, 2)
    assert got.data.dtype == specs["part"].np_dtype


@given(st.permutations(range(6)), st.integers(1, 6))
def test_any_order_of_indices(order, n):
    made, specs = splitter(part=order[:n])
    data = np.arange(12, dtype=">i2").reshape(2, 6)
    np.testing.assert_array_equal(made.process(Chunk(0, data), "in")["part"].data, data[:, order[:n]])
    assert specs["part"].names == tuple(NAMES[i] for i in order[:n])


def test_columns_that_lie_evenly_are_not_copied():
    made, _ = splitter(left=["0:3"], back=["::-2"], two=[1, 4], odd=[0, 1, 3])
    data = np.zeros((5, 6), ">i2")
    got = made.process(Chunk(0, data), "in")
    assert {n: np.shares_memory(c.data, data) for n, c in got.items()} == {
        "left": True, "back": True, "two": True, "odd": False,
    }  # fmt: skip


def test_one_channel_goes_to_many_outputs():
    made, specs = splitter(a=["C3"], b=["C3", "C4"], c=[":"])
    assert [s.n_channels for s in specs.values()] == [1, 2, 6]
    assert made.output_names() == ("a", "b", "c")


def test_channels_without_names_keep_their_numbers():
    _, specs = splitter(SPEC.replace(channel_names=()), part=["2:", "0"])
    assert specs["part"].names == ("2", "3", "4", "5", "0")


@pytest.mark.parametrize("dtype", [[("x", "<f4"), ("valid", "?")], "<c16", "?"])
def test_any_data_type(dtype):
    made, specs = splitter(SPEC.replace(dtype=dtype, streamtype="digitalsignal"), part=[1, 0])
    data = np.zeros((2, 6), specs["part"].np_dtype)
    assert made.process(Chunk(0, data), "in")["part"].data.dtype == data.dtype


def test_a_value_for_each_channel_is_selected_with_it():
    """A spec may hold one scale for all channels, or one for each."""
    _, specs = splitter(SPEC.replace(scale=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)), part=[5, 0])
    assert (specs["part"].scale, specs["part"].offset) == ((6.0, 1.0), SPEC.offset)


def test_a_gap_is_told_to_all_outputs():
    made, _ = splitter(a=[0], b=[1, 2])
    assert made.gap(gap := Gap(5, 9, epoch=1), "in") is gap


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (
            ["triger"],
            r"output 'part': no channel 'triger': did you mean 'trigger'\? There are 6 channels: Fp1",
        ),
        ([6], "no channel 6 among 6 channels"),
        ([-7], "no channel -7"),
        (["0:2", "Fp1"], "selects 'Fp1' more than once"),
        (["6:"], "selects no channel"),
        (["::0"], "step 0"),
    ],
)
def test_what_is_not_there_is_refused(selection, says):
    with pytest.raises(ConfigurationError, match=says):
        splitter(part=selection)


@pytest.mark.parametrize("outputs", [{}, {"a": []}, {"a": [1.5]}, {"a": [True]}, {"a": "C3"}])
def test_settings_are_checked(outputs):
    with pytest.raises(ConfigurationError, match="outputs"):
        splitter(**outputs)


@pytest.mark.parametrize("fields", [{"shape": (-1,)}, {"shape": (-1, 6, 2)}, {"streamtype": "event"}])
def test_streams_without_channels_are_refused(fields):
    with pytest.raises(StreamMismatch, match="takes an analogsignal or digitalsignal"):
        splitter(SPEC.replace(channel_names=(), **fields), part=[0])
