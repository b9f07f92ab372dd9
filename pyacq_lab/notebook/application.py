"""The one manager of an application, as a notebook shows it."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from pyacq_lab.errors import LifecycleError
from pyacq_lab.manager.manager import Manager

if TYPE_CHECKING:
    from pyacq_lab.notebook.panels import LogOutput, LogView, ManagerPanel

V = TypeVar("V")

_lock = threading.Lock()
_current: NotebookManager | None = None


class NotebookManager(Manager):
    """A manager that can be looked at: as a panel, as a table where widgets are dead, in one line."""

    def __init__(self, **options: Any) -> None:
        self._views: weakref.WeakSet[Any] = weakref.WeakSet()
        super().__init__(**options)

    def panel(self) -> ManagerPanel:
        """Live panel of hosts, nodegroups and nodes."""
        from pyacq_lab.notebook.panels import ManagerPanel

        return self._closed_with_me(ManagerPanel(self, actions={"Stop all": self.emergency_stop}))

    def log_view(self, **options: Any) -> LogView:
        """Live view of everything that every process says, in order; see `LogView` for the options."""
        from pyacq_lab.notebook.panels import LogView

        return self._closed_with_me(LogView(self.logs, **options))

    def log_output(self, **options: Any) -> LogOutput:
        """Plain live view of the newest records that stays in the saved notebook; see `LogOutput`."""
        from pyacq_lab.notebook.panels import LogOutput

        return self._closed_with_me(LogOutput(self.logs, **options))

    def close(self) -> None:
        """Close views, nodegroups, the manager's own host, the log server; idempotent."""
        for view in list(self._views):
            view.close()
        super().close()

    def _closed_with_me(self, view: V) -> V:
        self._views.add(view)
        return view

    def _repr_html_(self) -> str:
        from pyacq_lab.notebook.panels import manager_html

        return manager_html(self.status())


def create_manager() -> NotebookManager:
    """Make the application's manager, or give the one that there is.

    The manager lives in this process and listens in the background: to hosts, nodegroups and nodes, and
    to everything that they log, print and fail with. Outside a notebook each record is printed on
    standard error; in a notebook, `NotebookManager.log_view` shows them.

    Returns
    -------
    NotebookManager
        The same one at each call, until it is closed.
    """
    global _current
    with _lock:
        if _current is None or _current.closed:
            _current = NotebookManager()
            if not in_notebook():
                _current.print_logs(sys.stderr)
        return _current


def current_manager() -> NotebookManager:
    """Give the manager that `create_manager` made.

    Raises
    ------
    LifecycleError
        There is none, or it is closed.
    """
    if _current is None or _current.closed:
        raise LifecycleError("there is no manager: make one with create_manager()")
    return _current


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")
