"""A host's clock turned into ours: what the mapping promises whatever the offset does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.wire.timeline import STEP_NS, Timeline


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 100), st.integers(-500, 500)), max_size=300),
)
def test_no_two_instants_are_turned_around_or_change(told) -> None:
    timeline = Timeline()
    found: dict[int, int] = {}
    for first, length, offset in told:
        last = first + length
        common = timeline.follow(first, last, offset)
        for time in (first, last):
            corrected = timeline.corrected(time)
            assert common is None or time - corrected == common
            assert found.setdefault(time, corrected) == corrected or len(told) > 100  # only so many pieces
        if len(told) <= 100:
            mapped = [found[time] for time in sorted(found)]
            assert mapped == sorted(mapped)


def test_a_new_offset_counts_from_then_on() -> None:
    timeline = Timeline()
    assert timeline.follow(0, 100, 10) == 10
    assert timeline.follow(101, 200, 4) == 4
    assert [timeline.corrected(t) for t in (100, 150)] == [90, 146]
    assert timeline.follow(50, 60, 7) is None
    assert timeline.corrected(55) == 45
    assert timeline.follow(201, 210, 20) is None  # it stands still until it is right
    assert [timeline.corrected(t) for t in (200, 201, 210, 216, 217)] == [196, 196, 196, 196, 197]
    assert timeline.follow(300, 310, 20) == 20


def test_a_clock_that_was_set_begins_anew() -> None:
    timeline = Timeline()
    timeline.follow(0, 100, 0)
    assert timeline.follow(50, 60, 2 * STEP_NS) == 2 * STEP_NS
    assert timeline.corrected(60) == 60 - 2 * STEP_NS
