"""A change of settings goes to the node's thread, or to nobody; who asks hears which."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyacq_lab.errors import ConfigurationError, LifecycleError
from pyacq_lab.model.settings import Settings
from pyacq_lab.node import changes
from pyacq_lab.node.changes import Changes, in_words

WANTED = Settings()


@pytest.fixture
def waiting() -> Changes:
    made = Changes()
    made.open()
    return made


def ask_beside(waiting: Changes, then: Callable[[], None], until) -> int | None:
    """Ask in a thread of its own, do something once it waits, and give what it was told."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(waiting.ask, WANTED, lambda: None)
        until(lambda: waiting.waiting)
        then()
        return answer.result(10)


def test_the_one_who_runs_takes_it_over_and_the_one_who_asks_hears_where(waiting, until) -> None:
    taken = []

    def apply(settings: Settings) -> int:
        taken.append(settings)
        return 1234

    assert ask_beside(waiting, lambda: waiting.serve(apply), until) == 1234
    assert taken == [WANTED]
    assert not waiting.waiting
    waiting.serve(apply)  # nobody waits any more
    assert len(taken) == 1


def test_the_bell_is_rung(waiting) -> None:
    assert waiting.ask(WANTED, lambda: waiting.serve(lambda _: 7)) == 7


def test_nobody_asks_a_thread_that_does_not_run() -> None:
    assert Changes().ask(WANTED, lambda: pytest.fail("rung")) is None


def test_who_waits_is_told_when_the_thread_ends(waiting, until) -> None:
    assert ask_beside(waiting, waiting.close, until) is None


def test_a_refusal_goes_to_who_asks_only(waiting, until) -> None:
    def refuse(settings: Settings) -> int:
        raise ConfigurationError("above half the sample rate")

    with pytest.raises(ConfigurationError, match="half the sample rate"):
        ask_beside(waiting, lambda: waiting.serve(refuse), until)


def test_another_error_is_the_threads_own_too(waiting, until) -> None:
    def fail(settings: Settings) -> int:
        raise OSError("unplugged")

    def serve() -> None:
        with pytest.raises(OSError, match="unplugged"):
            waiting.serve(fail)

    with pytest.raises(OSError, match="unplugged"):
        ask_beside(waiting, serve, until)


def test_what_nobody_came_to_is_not_done_later(waiting, monkeypatch) -> None:
    monkeypatch.setattr(changes, "CHANGE_TIMEOUT", 0.01)
    with pytest.raises(LifecycleError, match="nothing was changed"):
        waiting.ask(WANTED, lambda: None)
    waiting.serve(lambda _: pytest.fail("withdrawn"))


def test_places_in_words() -> None:
    assert in_words({"in": 12, "other": 7}) == "sample 12 of 'in', sample 7 of 'other'"
