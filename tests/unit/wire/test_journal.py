"""Numbered events that a cut connection does not lose."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.wire.journal import Journal


def test_events_are_numbered_from_one_and_told_from_where_one_was() -> None:
    journal = Journal()
    for value in "abc":
        journal.append("t", value)
    assert journal.after(0) == [(1, "t", "a"), (2, "t", "b"), (3, "t", "c")]
    assert journal.after(2) == [(3, "t", "c")]
    assert journal.after(3) == journal.after(99) == []
    assert journal.stop == 4


def test_a_talkative_topic_pushes_out_its_own_only() -> None:
    journal = Journal(kept=3)
    journal.append("state", "died")
    for line in range(10):
        journal.append("log", line)
    assert [event.value for event in journal.after(0)] == ["died", 7, 8, 9]
    assert [event.seq for event in journal.after(0, "log")] == [9, 10, 11]
    assert journal.after(0, "unheard of") == []


def test_heavy_events_push_out_more_of_their_topic() -> None:
    journal = Journal(kept=10)
    for weight in (4, 4, 4, 9, 1, 30):
        journal.append("log", weight, weight)
        assert sum(e.value for e in journal.after(0)) <= 10 or len(journal.after(0)) == 1
    assert [e.value for e in journal.after(0)] == [30]


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(0, 70))
def test_what_is_told_is_in_order_and_complete_where_nothing_was_pushed_out(topics, seq) -> None:
    journal = Journal()
    events = [journal.append(topic, i) for i, topic in enumerate(topics)]
    assert journal.after(seq) == events[seq:]
