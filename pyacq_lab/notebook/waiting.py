"""Waiting for things to become true."""

from __future__ import annotations

import time
from collections.abc import Callable

from pyacq_lab.errors import CallTimeout


def wait_for(condition: Callable[[], object], timeout: float = 10.0, period: float = 0.05) -> None:
    """Wait until ``condition()`` is true.

    Parameters
    ----------
    condition : callable
        Asked every ``period`` seconds, in the calling thread.
    timeout : float
        Seconds.

    Raises
    ------
    CallTimeout
        It was not true within ``timeout``.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise CallTimeout(f"{condition!r} was not true within {timeout:g} s")
        time.sleep(period)
