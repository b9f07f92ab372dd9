"""How a process ended, in words that help, with its last words."""

from __future__ import annotations

import signal
from dataclasses import dataclass

TAIL_LINES = 200
"""Lines of output that are kept for the post-mortem."""


@dataclass(frozen=True)
class ExitStatus:
    """What the operating system says about an ended process.

    Attributes
    ----------
    exit_code : int or None
        What it returned; None where a signal ended it or nobody could tell.
    signal : str
        Name of the signal that ended it, such as ``"SIGKILL"``; empty where none did.
    """

    exit_code: int | None = None
    signal: str = ""

    @classmethod
    def of(cls, returncode: int | None) -> ExitStatus:
        """Translate a `subprocess` return code (negative: a signal's number)."""
        if returncode is None or returncode >= 0:
            return cls(exit_code=returncode)
        return cls(signal=signal_name(-returncode))


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes
    ----------
    exit_code : int or None
        What it returned; None where a signal ended it or nobody could tell.
    signal : str
        Name of the signal that ended it; empty where none did.
    description : str
        The same in one line of words.
    expected : bool
        Somebody had asked for it.
    output : tuple of str
        The last lines that it wrote, at most 200, stdout and stderr as they came.
    """

    exit_code: int | None
    signal: str
    description: str
    expected: bool
    output: tuple[str, ...] = ()

    @classmethod
    def of(cls, status: ExitStatus, *, expected: bool, output: tuple[str, ...] = ()) -> Ending:
        """Put a status in words."""
        return cls(status.exit_code, status.signal, describe(status, expected), expected, output)


def signal_name(number: int) -> str:
    """Name of a signal: ``9`` is ``"SIGKILL"``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_HINTS = {
    "SIGKILL": "out of memory, or somebody's kill -9",
    "SIGSEGV": "invalid memory access in compiled code",
    "SIGABRT": "compiled code called abort()",
    "SIGBUS": "a memory-mapped file or shared memory went away",
    "SIGFPE": "arithmetic error in compiled code",
    "SIGILL": "compiled for another processor",
}


def describe(status: ExitStatus, expected: bool) -> str:
    """One line of words."""
    asked = ", as asked" if expected else ""
    if status.exit_code == 128 + signal.SIGTERM:
        return f"ended by SIGTERM{asked or ' (a kill, or the end of the system)'}"
    if status.signal:
        hint = _HINTS.get(status.signal, "")
        return f"killed by {status.signal}" + (asked or (f" ({hint})" if hint else ""))
    if status.exit_code is None:
        return f"ended{asked}; its exit status is not known"
    if status.exit_code == 0:
        return f"ended{asked}" if expected else "ended by itself (exit code 0)"
    return f"ended with exit code {status.exit_code}{asked}"
