"""Chunks have the length asked for, and no sample moves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing import ChunkResizer

SPEC = StreamSpec.of("<i8", shape=(-1,), sample_rate=1000.0)
MS = 10**6
FAR = 2**53


def resizer(**settings):
    made = ChunkResizer(ChunkResizer.settings_type.checked(**settings))
    made.describe({"in": SPEC})
    return made


def chunk(start, stop, epoch=0):
    """A counter whose chunks each have a stamp of their own, a little off."""
    return Chunk(start, np.arange(start, stop), start * MS + start % 7, 100 + start % 5, epoch)


def run(made, edges, finish=True):
    got = [c for a, b in pairwise(edges) for c in made.process(chunk(a, b), "in")]
    return [*got, *(made.finish("in") if finish else ())]


def spans(chunks):
    return [(c.start, c.stop) for c in chunks]


@pytest.mark.parametrize(
    ("settings", "edges", "wanted"),
    [
        ({"chunk_size": 4}, [0, 3, 10], [(0, 4), (4, 8), (8, 10)]),
        ({"chunk_size": 4}, [2, 12], [(2, 6), (6, 10), (10, 12)]),
        ({"chunk_size": 4, "aligned": True}, [2, 3, 13], [(2, 4), (4, 8), (8, 12), (12, 13)]),
        ({"chunk_size": 4, "mode": "at_most"}, [0, 3, 12], [(0, 3), (3, 7), (7, 11), (11, 12)]),
        ({"chunk_size": 4, "mode": "at_most", "aligned": True}, [0, 3, 9], [(0, 3), (3, 4), (4, 8), (8, 9)]),
        ({"chunk_size": 4, "mode": "at_least"}, [0, 1, 3, 12, 13], [(0, 12), (12, 13)]),
        ({"chunk_size": 4, "mode": "at_least", "aligned": True}, [2, 3, 11, 13], [(2, 8), (8, 12), (12, 13)]),
        ({"chunk_size": 4, "aligned": True}, [FAR + 1, FAR + 6], [(FAR + 1, FAR + 4), (FAR + 4, FAR + 6)]),
    ],
)  # fmt: skip
def test_lengths(settings, edges, wanted):
    assert spans(run(resizer(**settings), edges)) == wanted


@given(
    size=st.integers(1, 30),
    mode=st.sampled_from(["exactly", "at_most", "at_least"]),
    aligned=st.booleans(),
    first=st.integers(0, 100),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=20),
)
def test_any_cuts(size, mode, aligned, first, sizes):
    edges = [first, *(first + np.cumsum(sizes)).tolist()]
    chunks = run(resizer(chunk_size=size, mode=mode, aligned=aligned), edges)
    samples = np.concatenate([c.data for c in chunks]) if chunks else np.empty(0)
    np.testing.assert_array_equal(samples, np.arange(first, edges[-1]))
    stamps = {i: (c.time_ns + (i - c.start) * MS, c.uncertainty_ns)
              for a, b in pairwise(edges) for c in [chunk(a, b)] for i in range(a, b)}  # fmt: skip
    for c in chunks:
        assert c.data[0] == c.start
        assert (c.time_ns, c.uncertainty_ns) == stamps[c.start]
    inner = chunks[1 if aligned else 0 : -1]  # the first ends at a multiple, the last with the stream
    if mode == "exactly":
        assert all(len(c) == size for c in inner)
    if mode == "at_most":
        assert all(len(c) <= size for c in chunks)
        assert not aligned or all(c.start // size == (c.stop - 1) // size for c in chunks)
    if mode == "at_least":
        assert all(len(c) >= size for c in inner)
    if aligned and mode != "at_most":
        assert all(c.stop % size == 0 for c in chunks[:-1])


@given(st.lists(st.integers(0, 120), max_size=12), st.integers(1, 50), st.booleans())
def test_chunks_of_a_fixed_size_do_not_depend_on_the_cuts(cuts, size, aligned):
    whole = run(resizer(chunk_size=size, aligned=aligned), [0, 120])
    parts = run(resizer(chunk_size=size, aligned=aligned), [0, *sorted(cuts), 120])
    assert spans(parts) == spans(whole)


def test_nothing_waits_where_chunks_are_only_cut():
    assert spans(run(resizer(chunk_size=4, mode="at_most"), [0, 1, 3], finish=False)) == [(0, 1), (1, 3)]


@pytest.mark.parametrize("mode", ["exactly", "at_least"])
def test_a_part_goes_out_at_a_gap(mode):
    made = resizer(chunk_size=10, mode=mode)
    assert run(made, [0, 7], finish=False) == []
    part, told = made.gap(Gap(7, 20), "in")
    assert (spans([part]), spans([told])) == ([(0, 7)], [(7, 20)])
    np.testing.assert_array_equal(part.data, np.arange(7))
    assert spans(run(made, [20, 30], finish=False)) == [(20, 30)]


def test_chunks_that_do_not_follow_are_not_joined():
    """Even if nobody has told of the gap, or of the new epoch."""
    made = resizer(chunk_size=10)
    made.process(chunk(0, 4), "in")
    assert spans(made.process(chunk(8, 12), "in")) == [(0, 4)]
    assert spans(made.process(chunk(12, 15, epoch=1), "in")) == [(8, 12)]
    assert [(c.start, c.epoch) for c in made.finish("in")] == [(12, 1)]


def test_what_waits_is_a_copy():
    """Memory that samples came in may be written again."""
    made, came = resizer(chunk_size=4), chunk(0, 3)
    made.process(came, "in")
    came.data[:] = -1
    assert made.finish("in")[0].data.tolist() == [0, 1, 2]


def test_the_ring_buffer_holds_the_longest_chunk_whole():
    made = resizer(chunk_size=10**6)
    assert made.describe({"in": SPEC})["out"].ring_size // 2 >= 10**6
    assert resizer(chunk_size=10, mode="at_most").describe({"in": SPEC})["out"] == SPEC
