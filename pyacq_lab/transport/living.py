"""Whether a process that was known once still lives."""

from __future__ import annotations

import psutil

_SAME_PROCESS = 2  # seconds by which two answers about one process's birth may differ


def lives(pid: int, born: int) -> bool:
    """Whether the process that was born then still lives: its number may be another's by now.

    Parameters
    ----------
    pid : int
        Its process id.
    born : int
        When it was born, s since 1970 UTC.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - born) < _SAME_PROCESS
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # somebody's, perhaps the owner's: better left alone
