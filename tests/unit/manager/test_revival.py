"""How often a nodegroup is started again by itself."""

from __future__ import annotations

from pyacq_lab.manager.revival import Allowance


def test_it_is_done_so_often_within_a_time_and_no_more() -> None:
    allowance = Allowance(most=3, within=10.0)
    assert [allowance.take(now) for now in (0.0, 1.0, 2.0, 3.0, 9.9)] == [True, True, True, False, False]
    assert [allowance.take(now) for now in (10.0, 10.5, 11.0, 12.0, 12.1)] == [True, False, True, True, False]
