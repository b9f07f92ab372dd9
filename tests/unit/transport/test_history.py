"""What a reader keeps of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError, SamplesGone
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.history import History

SPEC = StreamSpec.of("<i8", shape=(-1,), sample_rate=100.0, buffer_seconds=1.0)


@given(
    st.lists(st.tuples(st.sampled_from(["chunk", "gap", "epoch"]), st.integers(1, 30)), max_size=20),
    st.integers(1, 100),
    st.integers(1, 100),
)
def test_resizing_keeps_what_there_is_room_for(steps, before, after) -> None:
    history = History(SPEC, before)
    epoch = at = 0
    for kind, count in steps:
        if kind == "epoch":
            epoch, at = epoch + 1, 0
            continue
        if kind == "gap":
            history.keep(Gap(at, at + count, epoch, "overrun"))
        else:
            history.keep(Chunk(at, np.arange(at, at + count) + 1000 * epoch, epoch=epoch))
        at += count
    had = kept(history)
    history.resize(after)
    has = kept(history)
    assert has == had if after >= before else has == had[len(had) - len(has) :]
    history.keep(Chunk(at, np.arange(1), epoch=epoch))
    assert history.ring.bounds()[1] == at + 1


def kept(history: History) -> list[tuple[int, int, int]]:
    """Epoch, index and value of all samples."""
    found = []
    for epoch in range(history.ring.epoch + 1):
        for index in range(0, 30 * 20):
            try:
                found.append((epoch, index, int(history.read(index, index + 1, epoch)[0])))
            except SamplesGone:
                continue
    return found


def test_a_larger_buffer_has_what_the_smaller_one_kept() -> None:
    history = History(SPEC, 10)
    history.keep(Chunk(0, np.arange(8)))
    history.resize(1000)
    history.keep(Chunk(8, np.arange(8, 300)))
    np.testing.assert_array_equal(history.read(0, 300), np.arange(300))
    history.clear()
    assert history.ring.size == 1000


def test_what_a_filter_has_made_is_kept_as_it_is() -> None:
    history = History(SPEC, 10)
    history.keep(Chunk(0, np.ones((4, 3), "f4")))
    history.resize(20)
    assert history.read(0, 4).shape == (4, 3)


def test_more_than_the_machine_has_is_refused() -> None:
    history = History(SPEC, 10)
    history.keep(Chunk(0, np.arange(8)))
    for size in (1 << 45, 1 << 80):
        with pytest.raises(ConfigurationError, match=r"would take .* are free: give a smaller buffer_size"):
            history.resize(size)
        with pytest.raises(ConfigurationError, match="are free"):
            History(SPEC, size)
    np.testing.assert_array_equal(history.read(0, 8), np.arange(8))
