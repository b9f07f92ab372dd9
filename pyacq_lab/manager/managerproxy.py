"""A manager in a process of its own, as the notebook holds it."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO

import msgspec

from pyacq_lab.errors import ProcessDied, UnknownName
from pyacq_lab.manager.childprogram import START_TIMEOUT, ChildProgram
from pyacq_lab.manager.logformat import LogPrinter
from pyacq_lab.manager.logmirror import LogMirror
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.manager import check_lease
from pyacq_lab.manager.ownlog import OwnLog
from pyacq_lab.manager.program import Bootstrap, Report
from pyacq_lab.manager.proxies import found_there, make_handle
from pyacq_lab.manager.server import WHERE
from pyacq_lab.model.closing import Closing
from pyacq_lab.model.remote import Reference
from pyacq_lab.model.status import ManagerStatus
from pyacq_lab.remote.links import Link
from pyacq_lab.remote.objects import RemoteObject
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor

_LOG_TIMEOUT = 10.0
_END_TIMEOUT = 40.0  # a host may take 30 s to end all that a manager has there


class ManagerProxy(Closing, RemoteObject):
    """Starts a manager in a process of its own and stands for it.

    It has the public methods and attributes of `Manager`. What those return comes by value where it can
    travel, else as a handle. What the manager prints (its log) comes out of this process's standard error.
    Views of its log are fed by `log_mirror`. What this process logs, warns and fails with is in that log too.
    The manager's process ends with this one, however this one ends.

    Use `create_manager(mode="rpc")`. Any thread may call.

    Parameters
    ----------
    lease : float
        As of `Manager`.
    print_logs : bool
        Whether the manager's process prints log records.

    Raises
    ------
    ConfigurationError
        ``lease`` is out of range.
    ProcessDied
        The manager's process ended before it was ready; the message holds its last words.
    """

    def __init__(self, *, lease: float = 30.0, print_logs: bool = True) -> None:
        check_lease(lease)
        application, client = KeyPair.generate(), KeyPair.generate()
        first = Bootstrap(application.secret, client.public, lease, print_logs, sys.stderr.isatty())
        bootstrap = msgspec.json.encode(first).decode()
        self._lock = threading.Lock()
        self._put_away = False
        self._reactor = Reactor()
        self._program = ChildProgram("pyacq_lab.manager", first_words=bootstrap + "\n", on_line=_show)
        try:
            report = self._report()
            self._link = Link(
                self._reactor,
                report.endpoint,
                report.public_key,
                keys=client,
                where=WHERE,
                meet=self._meet,
                make=partial(make_handle, reactor=self._reactor, keys=application),
            )
        except BaseException:
            self._program.close(0.0)
            self._reactor.close()
            raise
        where = Reference(report.endpoint, report.public_key, "manager", WHERE, "Manager")
        super().__init__(self._link.target("manager", WHERE), where)
        self._mirror = LogMirror(partial(self._target.call, "log_piece", _timeout=_LOG_TIMEOUT))
        self._own_log = OwnLog(self._reactor, application)
        atexit.register(self.close)
        try:
            self._link.client.wait_connected()
            own = self._own_log
            self._target.call("hear", own.endpoint, own.public_key, own.source)
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether it was closed, or its process has ended."""
        return self._put_away or not self._program.alive

    @property
    def pid(self) -> int:
        """Id of the manager's process."""
        return self._program.pid

    @property
    def log_mirror(self) -> LogMirror:
        """What was said, as far as it has come to this process; it comes while somebody is subscribed."""
        return self._mirror

    def status(self) -> ManagerStatus:
        """As `Manager.status`."""
        return self._target.call("status")

    def logs(self, **wanted: Any) -> LogRecords:
        """As `Manager.logs`."""
        return found_there(self._target, wanted)

    def print_logs(self, stream: TextIO) -> Callable[[], None]:
        """As `Manager.print_logs`."""
        return self._mirror.subscribe(LogPrinter(stream))

    def print_by_process(self, on: bool) -> None:
        """Have the manager's process print records from now on, until its very end, or no more."""
        self._target.call("print_log", on, sys.stderr.isatty())

    def emergency_stop(self) -> dict[str, list[str]]:
        """As `Manager.emergency_stop`; waits for no other call."""
        return self._target.call("emergency_stop")

    def close(self) -> None:
        """Close the manager with all that it looks after, and end its process; idempotent."""
        with self._lock:
            if self._put_away:
                return
            self._put_away = True
        self._mirror.close()
        unheard = self._own_log.close(_LOG_TIMEOUT if self._program.alive else 0.0)
        if unheard:  # no log holds them, and nobody else knows how many there are
            _show(f"{unheard} log records of this process were not heard by its manager\n")
        self._program.close(_END_TIMEOUT)
        self._link.client.fail("this manager is closed: make another with create_manager()")
        self._link.close()
        self._reactor.close()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        return "<manager: closed>" if self.closed else f"<manager in a process of its own: pid {self.pid}>"

    def _report(self) -> Report:
        try:
            return msgspec.json.decode(self._program.first_line(), type=Report)
        except msgspec.DecodeError:
            raise ProcessDied(
                f"the manager's process was not ready within {START_TIMEOUT:g} s; "
                f"it said: {self._program.last_words}"
            ) from None

    def _meet(self, reference: Reference) -> Any:
        if reference.target == "manager":
            return self
        raise UnknownName(f"{reference.where} cannot be reached from here")


def _show(line: str) -> None:
    # Looked up at each line: a notebook replaces it.
    sys.stderr.write(line)
