"""Order within a lane, freedom between lanes, and nobody waiting for himself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from pyacq_lab.transport.lanes import Lanes


class Task:
    def __init__(self, lane: str, function: Callable[[], object], chain: str = "") -> None:
        self.lane, self.chain, self.function = lane, chain, function
        self.cancelled = False

    def run(self) -> None:
        self.function()

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes("lane-test")
    yield made
    made.close()


def test_jobs_of_a_lane_run_in_order_by_whoever_works_on_it(lanes) -> None:
    done: list[object] = []
    first = Task("a", lambda: done.append(1))
    assert lanes.enter(first)
    assert not lanes.enter(Task("a", lambda: done.append(2)))
    assert not lanes.enter(Task("a", lambda: done.append(3)))
    lanes.work(first)
    assert done == [1, 2, 3]
    assert lanes.enter(Task("a", lambda: None))


def test_another_lane_does_not_wait(lanes) -> None:
    assert lanes.enter(Task("a", lambda: None))
    reached = threading.Event()
    other = Task("b", reached.set)
    assert lanes.enter(other)
    lanes.work_elsewhere(other)
    assert reached.wait(10)


def test_a_job_for_which_its_own_lane_waits_runs_at_once(lanes) -> None:
    inner = threading.Event()
    waited: list[bool] = []

    def outer() -> None:
        assert not lanes.enter(Task("a", inner.set, chain="one"))
        waited.append(inner.wait(10))

    task = Task("a", outer, chain="one")
    assert lanes.enter(task)
    lanes.work(task)
    assert waited == [True]


def test_a_failing_job_does_not_end_its_lane(lanes, caplog) -> None:
    done: list[int] = []
    first = Task("a", lambda: 1 / 0)
    lanes.enter(first)
    lanes.enter(Task("a", lambda: done.append(2)))
    lanes.work(first)
    assert done == [2]
    assert "a job of lane a failed" in caplog.text


def test_closing_refuses_what_waits_and_what_comes(lanes) -> None:
    lanes.enter(Task("a", lambda: None))
    waiting, late = Task("a", lambda: None), Task("b", lambda: None)
    lanes.enter(waiting)
    lanes.close()
    assert waiting.cancelled
    assert not lanes.enter(late)
    assert late.cancelled
