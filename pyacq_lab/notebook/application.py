"""The one manager of an application, as a notebook shows it: in this process, or in one of its own."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from pyacq_lab.errors import ConfigurationError, LifecycleError
from pyacq_lab.manager.manager import Manager, check_lease
from pyacq_lab.manager.managerproxy import ManagerProxy

if TYPE_CHECKING:
    from pyacq_lab.manager.logsource import LogSource
    from pyacq_lab.notebook.panels import LogOutput, LogView, ManagerPanel
    from pyacq_lab.transport.capture import LogCapture

V = TypeVar("V")
Mode = Literal["local", "rpc"]
Logs = Literal["auto", "show", "print", "off"]

_lock = threading.Lock()
_current: NotebookManager | NotebookManagerProxy | None = None


class _Shown:
    """What a notebook shows of a manager, wherever that lives."""

    _views: weakref.WeakSet[Any]
    _tail: LogOutput | None = None
    _logs: Logs = "off"

    @property
    def _log(self) -> LogSource:
        """What feeds the views of the log."""
        raise NotImplementedError

    def panel(self: Any) -> ManagerPanel:
        """Live panel of hosts, nodegroups and nodes; the log of each process is a button away."""
        from pyacq_lab.notebook.panels import ManagerPanel

        actions = {"Stop all": self.emergency_stop}
        return self._closed_with_me(ManagerPanel(self, actions=actions, open_log=self._open_log))

    def log_view(
        self,
        *,
        level: int | str = 0,
        source: str = "",
        contains: str = "",
        process: str = "",
        height: int = 320,
    ) -> LogView:
        """Live view of everything that every process says, in order.

        Parameters
        ----------
        level : int or str
            Lowest level shown, by number or name.
        source, contains : str
            Part of ``host/process`` and of the text of the records shown.
        process : str
            Whole name of the only process shown; all of them unless given.
        height : int
            Height of the list, CSS pixels.

        Raises
        ------
        ConfigurationError
            No level has this name.
        """
        from pyacq_lab.notebook.panels import LogView

        view = LogView(
            self._log, level=level, source=source, contains=contains, process=process, height=height
        )
        return self._closed_with_me(view)

    def log_output(
        self,
        *,
        level: int | str = 0,
        source: str = "",
        contains: str = "",
        n_records: int = 50,
        traceback_lines: int = 30,
        max_height: str = "",
    ) -> LogOutput:
        """Plain live view of the newest records that stays in the saved notebook.

        Parameters
        ----------
        level : int or str
            Lowest level shown, by number or name.
        source, contains : str
            Part of ``host/process`` and of the text of the records shown.
        n_records : int
            How many are shown.
        traceback_lines : int
            Lines shown of a traceback that is longer: its last ones.
        max_height : str
            Height from which the text scrolls, such as ``"16em"``; as high as it is unless given.

        Raises
        ------
        ConfigurationError
            No level has this name.
        """
        from pyacq_lab.notebook.panels import LogOutput

        view = LogOutput(
            self._log,
            level=level,
            source=source,
            contains=contains,
            n_records=n_records,
            traceback_lines=traceback_lines,
            max_height=max_height,
        )
        return self._closed_with_me(view)

    def _open_log(self, process: str) -> LogView:
        return self.log_view(process=process, height=240)

    def _closed_with_me(self, view: V) -> V:
        self._views.add(view)
        return view

    def _close_views(self) -> None:
        for view in list(self._views):
            view.close()

    def use_logs(self, logs: Logs | None) -> None:
        """Do with the log what `create_manager` does with it: as ``logs`` says, or as before unless given."""
        logs = self._logs if logs is None else _resolved(logs)
        if logs != self._logs:
            if self._tail is not None:
                self._tail.close()
                self._tail = None
            self._print_log(logs == "print")
            if (capture := self._own_capture) is not None:
                capture.last_resort = logs != "print"  # else what no handler takes would be there twice
            self._logs = logs
        if logs == "show":
            from IPython.display import display

            if self._tail is None or self._tail.comm is None:
                self._tail = self.log_output(n_records=12, traceback_lines=4, max_height="16em")
            display(self._tail)

    def _print_log(self, on: bool) -> None:
        """Print each record from now on, or no more."""
        raise NotImplementedError

    @property
    def _own_capture(self) -> LogCapture | None:
        """What catches this process's own records; None where the manager is closed."""
        raise NotImplementedError

    def _watch_cells(self) -> None:
        """Have in the log what cells here fail with."""
        shell, capture = _shell(), self._own_capture
        if shell is not None and capture is not None:
            capture.watch_cells(shell.events)

    def _repr_html_(self: Any) -> str:
        from pyacq_lab.notebook.panels import manager_html

        return manager_html(self.status())


class NotebookManager(_Shown, Manager):
    """A manager that can be looked at: as a panel, as a table where widgets are dead, in one line."""

    def __init__(self, **options: Any) -> None:
        self._views = weakref.WeakSet()
        self._end_printing: Callable[[], None] | None = None
        super().__init__(**options)

    @property
    def _log(self) -> LogSource:
        return self.log_server

    @property
    def _own_capture(self) -> LogCapture | None:
        return self.log_server.capture

    def _print_log(self, on: bool) -> None:
        if self._end_printing is not None:
            self._end_printing()
        self._end_printing = self.print_logs(sys.stderr) if on else None

    def close(self) -> None:
        """Close views, nodegroups, the manager's own host, the log server; idempotent."""
        self._close_views()
        super().close()


class NotebookManagerProxy(_Shown, ManagerProxy):
    """A manager in a process of its own, which can be looked at as `NotebookManager`."""

    def __init__(self, logs: Logs = "off", **options: Any) -> None:
        self._views = weakref.WeakSet()
        super().__init__(print_logs=logs == "print", **options)  # from its first word on

    @property
    def _log(self) -> LogSource:
        return self.log_mirror

    @property
    def _own_capture(self) -> LogCapture | None:
        return self._own_log.capture

    def _print_log(self, on: bool) -> None:
        self.print_by_process(on)

    def close(self) -> None:
        """Close views, then the manager with all that it looks after, and its process; idempotent."""
        self._close_views()
        super().close()


@overload
def create_manager(
    mode: Literal["local"] = "local", *, logs: Logs | None = None, lease: float | None = None
) -> NotebookManager: ...
@overload
def create_manager(
    mode: Literal["rpc"], *, logs: Logs | None = None, lease: float | None = None
) -> NotebookManagerProxy: ...
def create_manager(
    mode: Mode = "local", *, logs: Logs | None = None, lease: float | None = None
) -> NotebookManager | NotebookManagerProxy:
    """Make the application's manager, or give the one that there is.

    It listens in the background: to hosts, nodegroups and nodes, and to everything that they log, print
    and fail with.

    Parameters
    ----------
    mode : {'local', 'rpc'}
        Where the manager lives: in this process, in threads; or in a process of its own, which this one
        calls. That takes a second longer to start and something more for each call; the manager is then
        not slowed down by what this process computes.
    logs : {'auto', 'show', 'print', 'off'}, optional
        What is done with the log by itself: its newest records are shown below this cell, as by
        `NotebookManager.log_output`; or each record is printed on standard error; or nothing. ``'auto'``
        shows them in a notebook and prints them elsewhere. Unless given, ``'auto'`` for a new manager, and
        what was chosen before for one that there is.
    lease : float, optional
        Seconds for which hosts keep our nodegroups without a sign of life from us; 30 unless given.

    Returns
    -------
    NotebookManager or NotebookManagerProxy
        The same one at each call, until it is closed. Each call shows the newest records below its own
        cell, where they are shown at all. The two have the same methods.

    Raises
    ------
    ConfigurationError
        There is no such mode, or no such way with the log, or ``lease`` is out of range.
    LifecycleError
        There is a manager of the other mode, or with another lease.
    """
    global _current
    if mode not in ("local", "rpc"):
        raise ConfigurationError(f"mode={mode!r}: wanted 'local' (in this process) or 'rpc' (in its own)")
    if logs not in (None, "auto", "show", "print", "off"):
        raise ConfigurationError(f"logs={logs!r}: wanted 'auto', 'show', 'print' or 'off'")
    if lease is not None:
        check_lease(lease)
    with _lock:
        if _current is not None and not _current.closed:
            _check_same(_current, mode, lease)
            _current.use_logs(logs)
            return _current
        if isinstance(_current, ManagerProxy):
            _current.close()  # its process may have died
        options: dict[str, Any] = {} if lease is None else {"lease": lease}
        logs = _resolved(logs or "auto")
        _current = NotebookManager(**options) if mode == "local" else NotebookManagerProxy(logs, **options)
        _current._watch_cells()  # noqa: SLF001  it is this file's own
        _current.use_logs(logs)
        return _current


def _resolved(logs: Logs) -> Logs:
    if logs == "auto":
        return "show" if in_notebook() else "print"
    return logs


def _check_same(there: NotebookManager | NotebookManagerProxy, mode: Mode, lease: float | None) -> None:
    """Refuse what the manager that there is cannot be any more. Raises LifecycleError."""
    its_mode = "rpc" if isinstance(there, ManagerProxy) else "local"
    if its_mode != mode:
        raise LifecycleError(
            f"there is a manager of mode {its_mode!r}, and an application has one: "
            f"close it before create_manager(mode={mode!r})"
        )
    if lease is not None and lease != there.lease:
        raise LifecycleError(
            f"there is a manager with a lease of {there.lease:g} s, which its hosts have been told: "
            f"close it before create_manager(lease={lease:g}), or leave the lease out"
        )


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
    return hasattr(_shell(), "kernel")


def _shell() -> Any:
    """Give the IPython shell of this process; None where there is none."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return get_ipython()
