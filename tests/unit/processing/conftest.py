"""How transforms are made and fed without nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec

BEGIN_NS = 1_700_000_000_000_000_000


def make_described(kind: Any, spec: StreamSpec, /, **settings: Any) -> tuple[Any, StreamSpec]:
    """``described(Kind, spec, **settings)``: a transform that knows its one input, and its output's spec."""
    transform = kind(kind.settings_type.checked(**settings))
    return transform, transform.describe({"in": spec})["out"]


def run_through(
    transform: Any,
    data: Any,
    rate: float = 1000.0,
    cuts: Sequence[int] = (),
    start: int = 0,
    finish: bool = True,
) -> tuple[int, Any]:
    """``through(transform, data, rate, cuts)``: first index of what comes out, and all of it."""
    pieces: list[Chunk] = []
    for a, b in pairwise([0, *sorted(cuts), len(data)]):
        place = Chunk(start + a, data[a:b], BEGIN_NS + round((start + a) * 1e9 / rate), 1000)
        pieces += as_chunks(transform.process(place, "in"), place)
    if finish:
        pieces += as_chunks(transform.finish("in"))
    filled = [piece for piece in pieces if len(piece)]
    if not filled:
        return 0, np.empty(0)
    assert all(a.stop == b.start for a, b in pairwise(filled))
    return filled[0].start, np.concatenate([piece.data for piece in filled])


def as_chunks(made: Any, place: Chunk | None = None) -> list[Chunk]:
    """What a transform of one output gave, as chunks."""
    if made is None:
        return []
    if isinstance(made, Chunk):
        return [made]
    if isinstance(made, np.ndarray):
        assert place is not None
        return [place.with_data(made)]
    return list(made)


@pytest.fixture
def described() -> Callable[..., Any]:
    """`make_described`, for tests that do not import this file."""
    return make_described


@pytest.fixture
def through() -> Callable[..., Any]:
    """`run_through`, for tests that do not import this file."""
    return run_through
