"""The one manager of an application."""

from __future__ import annotations

import threading

from pyacq_lab.errors import LifecycleError
from pyacq_lab.manager.manager import Manager

_lock = threading.Lock()
_current: Manager | None = None


def create_manager() -> Manager:
    """Make the application's manager, or give the one that there is.

    The manager lives in this process and listens in the background: to hosts, nodegroups and nodes, and
    to everything that they log, print and fail with.

    Returns
    -------
    Manager
        The same one at each call, until it is closed.
    """
    global _current
    with _lock:
        if _current is None or _current.closed:
            _current = Manager()
        return _current


def current_manager() -> Manager:
    """Give the manager that `create_manager` made.

    Raises
    ------
    LifecycleError
        There is none, or it is closed.
    """
    if _current is None or _current.closed:
        raise LifecycleError("there is no manager: make one with create_manager()")
    return _current
