"""Chunks, gaps and ledgers."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.model.chunk import Chunk, Gap, concatenate
from pyacq_lab.model.ledger import HopLedger


def test_a_chunk_knows_its_place():
    chunk = Chunk(2**53, np.zeros((3, 2)), time_ns=5, uncertainty_ns=1, epoch=2)
    assert (chunk.stop, len(chunk)) == (2**53 + 3, 3)
    other = chunk.with_data(np.ones((3, 1)))
    assert (other.start, other.time_ns, other.uncertainty_ns, other.epoch) == (2**53, 5, 1, 2)
    assert len(Gap(3, 8)) == 5


def test_chunks_that_follow_are_joined():
    data = np.arange(10.0).reshape(5, 2)
    joined = concatenate([Chunk(7, data[:2]), Chunk(9, data[2:2]), Chunk(9, data[2:])])
    np.testing.assert_array_equal(joined, data)


@pytest.mark.parametrize(
    "after", [Chunk(3, np.zeros(1)), Chunk(1, np.zeros(1)), Chunk(2, np.zeros(1), epoch=1)]
)
def test_chunks_that_do_not_follow_are_not_joined(after):
    with pytest.raises(ValueError, match="does not follow"):
        concatenate([Chunk(0, np.zeros(2)), after])


def test_what_was_sent_is_received_dropped_or_pending():
    assert HopLedger(sent=10, received=6, dropped=1).pending == 3
