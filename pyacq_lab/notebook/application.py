"""The one manager of an application, as a notebook shows it: in this process, or in one of its own."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

from pyacq_lab.errors import ConfigurationError, LifecycleError
from pyacq_lab.manager.manager import Manager, check_lease
from pyacq_lab.manager.managerproxy import ManagerProxy

if TYPE_CHECKING:
    from pyacq_lab.notebook.panels import LogOutput, LogView, ManagerPanel

V = TypeVar("V")
Mode = Literal["local", "rpc"]
Logs = Literal["auto", "show", "print", "off"]

_lock = threading.Lock()
_current: NotebookManager | NotebookManagerProxy | None = None

_TAIL = 12  # records below the cell that makes the manager
_TAIL_HEIGHT = "16em"

_NO_LOG_VIEW = (
    "the log server is in the manager's process: ask manager.logs(...), or make the manager with "
    "create_manager(mode='local')"
)


class _Shown:
    """What a notebook shows of a manager, wherever that lives."""

    _views: weakref.WeakSet[Any]

    def panel(self: Any) -> ManagerPanel:
        """Live panel of hosts, nodegroups and nodes; the log of each process is a button away."""
        from pyacq_lab.notebook.panels import ManagerPanel

        actions = {"Stop all": self.emergency_stop}
        return self._closed_with_me(ManagerPanel(self, actions=actions, open_log=self._open_log))

    _open_log: Callable[[str], LogView] | None = None

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

    def _open_log(self, process: str) -> LogView:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.log_view(process=process, height=240)

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

    def __init__(self, **options: Any) -> None:
        self._views = weakref.WeakSet()
        super().__init__(**options)

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
def create_manager(
    mode: Literal["local"] = "local", *, logs: Logs = "auto", lease: float = 30.0
) -> NotebookManager: ...
@overload
def create_manager(
    mode: Literal["rpc"], *, logs: Logs = "auto", lease: float = 30.0
) -> NotebookManagerProxy: ...
def create_manager(
    mode: Mode = "local", *, logs: Logs = "auto", lease: float = 30.0
) -> NotebookManager | NotebookManagerProxy:
    """Make the application's manager, or give the one that there is.

    It listens in the background: to hosts, nodegroups and nodes, and to everything that they log, print
    and fail with.

    Parameters
    ----------
    mode : {'local', 'rpc'}
        Where the manager lives: in this process, in threads; or in a process of its own, which this one
        calls. That takes a second longer to start and something more for each call; the manager is then
        not slowed down by what this process computes. Its log can be printed only: `log_view` and
        `log_output` are refused.
    logs : {'auto', 'show', 'print', 'off'}
        What is done with the log by itself: its newest records are shown below this cell, as by
        `NotebookManager.log_output`; or each record is printed on standard error; or nothing. ``'auto'``
        shows them in a notebook and prints them elsewhere, and where the manager is in another process.
    lease : float
        Seconds for which hosts keep our nodegroups without a sign of life from us.

    Returns
    -------
    NotebookManager or NotebookManagerProxy
        The same one at each call, until it is closed; what is asked for then is that of the first call.
        They have the same methods.

    Raises
    ------
    ConfigurationError
        There is no such mode, or no such way with the log, or ``lease`` is out of range.
    LifecycleError
        There is a manager of the other mode.
    """
    global _current
    if mode not in ("local", "rpc"):
        raise ConfigurationError(f"mode={mode!r}: wanted 'local' (in this process) or 'rpc' (in its own)")
    if logs not in ("auto", "show", "print", "off"):
        raise ConfigurationError(f"logs={logs!r}: wanted 'auto', 'show', 'print' or 'off'")
    if logs == "show" and mode == "rpc":
        raise ConfigurationError(f"logs='show' with mode='rpc': {_NO_LOG_VIEW}")
    check_lease(lease)
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
            _current = NotebookManagerProxy(lease=lease, print_logs=logs != "off")
        else:
            manager = _current = NotebookManager(lease=lease)
            if logs == "auto":
                logs = "show" if in_notebook() else "print"
            if logs == "print":
                manager.print_logs(sys.stderr)
            elif logs == "show":
                _show_tail(manager)
        return _current


def _show_tail(manager: NotebookManager) -> None:
    from IPython.display import display

    display(manager.log_output(n_records=_TAIL, max_height=_TAIL_HEIGHT))


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
