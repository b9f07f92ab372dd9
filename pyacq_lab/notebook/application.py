"""The one manager of an application, as a notebook shows it: in this process, or in one of its own."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

from pyacq_lab.errors import ConfigurationError, LifecycleError
from pyacq_lab.manager.manager import Manager
from pyacq_lab.manager.managerproxy import ManagerProxy

if TYPE_CHECKING:
    from pyacq_lab.notebook.panels import LogOutput, LogView, ManagerPanel

V = TypeVar("V")
Mode = Literal["local", "rpc"]

_lock = threading.Lock()
_current: NotebookManager | NotebookManagerProxy | None = None

_NO_LOG_VIEW = (
    "the log server is in the manager's process: ask manager.logs(...), or make the manager with "
    "create_manager(mode='local')"
)


class _Shown:
    """What a notebook shows of a manager, wherever that lives."""

    _views: weakref.WeakSet[Any]

    def panel(self: Any) -> ManagerPanel:
        """Live panel of hosts, nodegroups and nodes."""
        from pyacq_lab.notebook.panels import ManagerPanel

        return self._closed_with_me(ManagerPanel(self, actions={"Stop all": self.emergency_stop}))

    def _closed_with_me(self, view: V) -> V:
        self._views.add(view)
        return view

    def _close_views(self) -> None:
        for view in list(self._views):
            view.close()

    def _repr_html_(self: Any) -> str:
        from pyacq_lab.notebook.panels import manager_html

        return manager_html(self.status())


class NotebookManager(_Shown, Manager):
    """A manager that can be looked at: as a panel, as a table where widgets are dead, in one line."""

    def __init__(self, **options: Any) -> None:
        self._views = weakref.WeakSet()
        super().__init__(**options)

    def log_view(self, **options: Any) -> LogView:
        """Live view of everything that every process says, in order; see `LogView` for the options."""
        from pyacq_lab.notebook.panels import LogView

        return self._closed_with_me(LogView(self.log_server, **options))

    def log_output(self, **options: Any) -> LogOutput:
        """Plain live view of the newest records that stays in the saved notebook; see `LogOutput`."""
        from pyacq_lab.notebook.panels import LogOutput

        return self._closed_with_me(LogOutput(self.log_server, **options))

    def close(self) -> None:
        """Close views, nodegroups, the manager's own host, the log server; idempotent."""
        self._close_views()
        super().close()


class NotebookManagerProxy(_Shown, ManagerProxy):
    """A manager in a process of its own, which can be looked at as `NotebookManager`, but for the log.

    The views of the log need the log server in this process. `Manager.logs` works, and each
    record is printed as it comes.
    """

    def __init__(self) -> None:
        self._views = weakref.WeakSet()
        super().__init__()

    def log_view(self, **options: Any) -> NoReturn:
        """Refuse. Raises LifecycleError."""
        raise LifecycleError(_NO_LOG_VIEW)

    def log_output(self, **options: Any) -> NoReturn:
        """Refuse. Raises LifecycleError."""
        raise LifecycleError(_NO_LOG_VIEW)

    def close(self) -> None:
        """Close views, then the manager with all that it looks after, and its process; idempotent."""
        self._close_views()
        super().close()


@overload
def create_manager(mode: Literal["local"] = "local") -> NotebookManager: ...
@overload
def create_manager(mode: Literal["rpc"]) -> NotebookManagerProxy: ...
def create_manager(mode: Mode = "local") -> NotebookManager | NotebookManagerProxy:
    """Make the application's manager, or give the one that there is.

    It listens in the background: to hosts, nodegroups and nodes, and to everything that they log, print
    and fail with. Outside a notebook each record is printed on standard error; in a notebook,
    `NotebookManager.log_view` shows them.

    Parameters
    ----------
    mode : {'local', 'rpc'}
        Where the manager lives: in this process, in threads; or in a process of its own, which this one
        calls. That takes a second longer to start and something more for each call; the manager is then
        not slowed down by what this process computes. Its log is printed on standard error, in a notebook,
        too, and `log_view` and `log_output` are refused.

    Returns
    -------
    NotebookManager or NotebookManagerProxy
        The same one at each call, until it is closed. They have the same methods.

    Raises
    ------
    ConfigurationError
        There is no such mode.
    LifecycleError
        There is a manager of the other mode.
    """
    global _current
    if mode not in ("local", "rpc"):
        raise ConfigurationError(f"mode={mode!r}: wanted 'local' (in this process) or 'rpc' (in its own)")
    with _lock:
        if _current is not None and not _current.closed:
            there = "rpc" if isinstance(_current, ManagerProxy) else "local"
            if there != mode:
                raise LifecycleError(
                    f"there is a manager of mode {there!r}, and an application has one: "
                    f"close it before create_manager(mode={mode!r})"
                )
            return _current
        if isinstance(_current, ManagerProxy):
            _current.close()  # its process may have died
        if mode == "rpc":
            _current = NotebookManagerProxy()
        else:
            manager = _current = NotebookManager()
            if not in_notebook():
                manager.print_logs(sys.stderr)
        return _current


def current_manager() -> NotebookManager | NotebookManagerProxy:
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
