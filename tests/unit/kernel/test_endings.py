"""Endings in words, messages as outputs."""

from __future__ import annotations

import pytest

from pyacq_lab.kernel.endings import Ending, ExitStatus
from pyacq_lab.kernel.outputs import RunResult, as_output


@pytest.mark.parametrize(
    ("returncode", "expected", "words"),
    [
        (0, True, "ended, as asked"),
        (0, False, "ended by itself (exit code 0)"),
        (143, False, "ended by SIGTERM (a kill, or the end of the system)"),
        (143, True, "ended by SIGTERM, as asked"),
        (3, False, "ended with exit code 3"),
        (3, True, "ended with exit code 3, as asked"),
        (-9, True, "killed by SIGKILL, as asked"),
        (-9, False, "killed by SIGKILL (out of memory, or somebody's kill -9)"),
        (-11, False, "killed by SIGSEGV (invalid memory access in compiled code)"),
        (-10, False, "killed by SIGUSR1"),
        (None, False, "ended; its exit status is not known"),
    ],
)
def test_an_ending_is_put_in_words(returncode: int | None, expected: bool, words: str) -> None:
    ending = Ending.of(ExitStatus.of(returncode), expected=expected, output=("last",))
    assert ending.description == words
    assert ending.output == ("last",)
    assert bool(ending.signal) == (returncode is not None and returncode < 0)


def test_a_real_time_signal_has_a_name_too() -> None:
    assert ExitStatus.of(-60).signal == "signal 60"


def test_messages_become_outputs_as_nbformat_has_them() -> None:
    message = {"data": {"text/plain": "1"}, "metadata": {}, "execution_count": 4, "extra": True}
    assert as_output("execute_result", message) == {
        "output_type": "execute_result",
        "data": {"text/plain": "1"},
        "metadata": {},
        "execution_count": 4,
    }
    assert as_output("clear_output", {"wait": True}) == {"output_type": "clear_output", "wait": True}
    assert as_output("status", {"execution_state": "busy"}) is None


def test_only_ok_is_ok() -> None:
    assert RunResult("ok").ok
    assert not any(RunResult(status).ok for status in ("error", "aborted", "unknown"))
