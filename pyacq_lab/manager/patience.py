"""Calls to a nodegroup that is being started again wait until it is there with its nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from pyacq_lab.errors import CallTimeout, PyacqError
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.messages import Message
from pyacq_lab.wire.values import Export

_LOOK_PERIOD = 0.1
"""Seconds between two looks for futures whose time is up."""


class Gate:
    """Shut while a nodegroup is started again; whoever wants to call its nodes waits here, in any thread.

    Parameters
    ----------
    reactor : Reactor
        Whose thread gives up what waits for too long, and never waits itself.
    where : str
        The nodegroup's place, for errors.
    """

    def __init__(self, reactor: Reactor, where: str) -> None:
        self._reactor = reactor
        self._where = where
        self._changed = threading.Condition()
        self._n_shut = 0
        self._keeper = 0  # thread that makes the nodes again, which calls them itself
        self._parked: list[tuple[float, Future[Any], Callable[[], None]]] = []
        self._timer: int | None = None

    def shut(self) -> None:
        """Have calls wait, until it is opened as often as it was shut."""
        with self._changed:
            self._n_shut += 1

    def open(self) -> None:
        """Let what waits go on, unless it is shut by somebody else, too."""
        with self._changed:
            self._n_shut -= 1
            if self._n_shut:
                return
            parked, self._parked = self._parked, []
            self._changed.notify_all()
        for _, _, errand in parked:
            errand()

    def keep(self, *, by_me: bool) -> None:
        """Let this thread through while it is shut, or no more."""
        self._keeper = threading.get_ident() if by_me else 0

    def is_open(self) -> bool:
        """Whether this thread needs not wait."""
        return not self._n_shut or self._keeper == threading.get_ident() or self._reactor.in_thread()

    def wait(self, seconds: float) -> None:
        """Wait until it is open. Raises CallTimeout where it is not within so many seconds."""
        if self.is_open():
            return
        with self._changed:
            if not self._changed.wait_for(lambda: not self._n_shut, seconds):
                raise CallTimeout(
                    f"{self._where} is being started again, which took longer than {seconds:g} s"
                )

    def park(self, future: Future[Any], seconds: float, errand: Callable[[], None]) -> None:
        """Do something when it is open; fail a future where it is not within so many seconds."""
        with self._changed:
            if self._n_shut:
                self._parked.append((time.monotonic() + seconds, future, errand))
                if self._timer is None:
                    self._timer = self._reactor.call_every(_LOOK_PERIOD, self._expire)
                return
        errand()

    def _expire(self) -> None:
        now = time.monotonic()
        with self._changed:
            late = [entry for entry in self._parked if entry[0] <= now]
            self._parked = [entry for entry in self._parked if entry[0] > now]
            if not self._parked and self._timer is not None:
                self._reactor.cancel(self._timer)
                self._timer = None
        for _, future, _ in late:
            future.set_exception(CallTimeout(f"{self._where} is being started again, which takes longer"))


class PatientClient:
    """The connection to the present process of a nodegroup, as calls to its nodes use it.

    Parameters
    ----------
    gate : Gate
        Where calls wait.
    present : callable
        Gives the connection to the process that there is.
    """

    def __init__(self, gate: Gate, present: Callable[[], RpcClient]) -> None:
        self._gate = gate
        self._present = present

    def call(self, message: Message, timeout: float = 10.0, export: Export | None = None) -> Any:
        """As `RpcClient.call`; the time that is waited counts."""
        if not self._gate.is_open():
            began = time.monotonic()
            self._gate.wait(timeout)
            timeout = max(0.0, timeout - (time.monotonic() - began))
        return self._present().call(message, timeout, export)

    def request(
        self,
        message: Message,
        timeout: float,
        export: Export | None = None,
        future: Future[Any] | None = None,
    ) -> Future[Any]:
        """As `RpcClient.request`; does not wait."""
        if self._gate.is_open():
            return self._present().request(message, timeout, export, future)
        wanted: Future[Any] = Future() if future is None else future
        wanted.set_running_or_notify_cancel()  # nobody can tell whether it was sent by then
        deadline = time.monotonic() + timeout

        def send() -> None:
            left = max(0.0, deadline - time.monotonic())
            try:
                sent = self._present().request(message, left, export)
            except PyacqError as error:
                wanted.set_exception(error)
            else:
                sent.add_done_callback(answered)

        def answered(sent: Future[Any]) -> None:
            if (error := sent.exception()) is None:
                wanted.set_result(sent.result())
            else:
                wanted.set_exception(error)

        self._gate.park(wanted, timeout, send)
        return wanted

    def tell(self, message: Message, export: Export | None = None, timeout: float = 0.0) -> None:
        """As `RpcClient.tell`; the time that is waited counts."""
        if not self._gate.is_open():
            began = time.monotonic()
            self._gate.wait(timeout)
            timeout = max(0.0, timeout - (time.monotonic() - began))
        self._present().tell(message, export, timeout)
