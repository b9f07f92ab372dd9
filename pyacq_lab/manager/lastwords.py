"""What an ended process had said and did not come to send: its host has kept it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

from msgspec.structs import replace

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.logcodec import decode_batch
from pyacq_lab.wire.messages import Backlog, LastWords

log = logging.getLogger(__name__)

_TIMEOUT = 30.0
"""Seconds that the host has for each answer: a busy one is slow, and only one that hangs is given up."""


class BacklogHeard:
    """Fetches what a host and its processes said while no manager was there, and gives it to the log server.

    Waits for nothing. Made and called in any thread.

    Parameters
    ----------
    client : RpcClient
        The connection to the host.
    logs : LogServer
        Takes the records.
    name, own_name : str
        The host's name here, and the one that it gives itself.
    """

    def __init__(self, client: RpcClient, logs: LogServer, name: str, own_name: str) -> None:
        self._client = client
        self._logs = logs
        self._name, self._own_name = name, own_name
        self._lock = threading.Lock()
        self._wanted = 0  # how often it was asked for and not begun
        self._at_it = False
        self._sources: set[tuple[str, str, int]] = set()

    def hear(self) -> None:
        """Ask for all that there is, after what is under way: two at a time would mix up their places."""
        with self._lock:
            self._wanted += 1
        self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._at_it or not self._wanted:
                return
            self._at_it, self._wanted = True, 0
        self._ask(0)

    def _ask(self, since: int) -> None:
        try:
            self._client.request(Backlog(since), _TIMEOUT).add_done_callback(self._answered)
        except PyacqError as error:
            self._end(error)

    def _answered(self, answer: Future[Any]) -> None:
        try:
            since, messages = answer.result()
            batches = [
                [replace(r, late=True) for r in decode_batch(message, self._name, self._own_name)]
                for message in messages
            ]
        except (PyacqError, CancelledError) as error:
            self._end(error)
            return
        for records in batches:
            self._logs.add(*records)
            self._sources.update((r.host, r.process, r.pid) for r in records[:1] if r.process != "host")
        if batches:
            self._logs.when_free(partial(self._ask, since))
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            # The host keeps what it was not told to have been heard, and is asked again when it is back.
            log.debug("what host %s has kept was not fetched to the end: %s", self._name, error)
        sources, self._sources = self._sources, set()
        for source in sources:
            self._logs.end(*source)  # they ended with their manager
        with self._lock:
            self._at_it = False
        self._begin()


class LastWordsHeard:
    """Fetches the last words of one process from its host, and gives them to the log server.

    Starts at once; waits for nothing. Made and answered in any thread.

    Parameters
    ----------
    client : RpcClient
        The connection to its host.
    logs : LogServer
        Takes the records; those that have come already, or still come, from the process count once.
    name : str
        The nodegroup's name.
    pid : int
        Its process id.
    source : str
        Its name at the log server.
    host : str
        The name under which its host is known here.

    Attributes
    ----------
    all : concurrent.futures.Future of bool
        Done in the end; True where everything that the process said has been taken in.
    cut_off : bool
        Whether the host could not be asked to the end.
    """

    def __init__(
        self, client: RpcClient, logs: LogServer, name: str, pid: int, source: str, host: str
    ) -> None:
        self.all: Future[bool] = Future()
        self.cut_off = False
        self._client = client
        self._logs = logs
        self._name, self._pid, self._host = name, pid, host
        self._ask(logs.heard(source))

    def _ask(self, since: int) -> None:
        try:
            answer = self._client.request(LastWords(self._name, self._pid, since), _TIMEOUT)
        except PyacqError as error:
            self._end(error)
        else:
            answer.add_done_callback(self._answered)

    def _answered(self, answer: Future[Any]) -> None:
        try:
            batch: bytes | None = answer.result()
            if not batch:  # no more, or nothing was kept
                self.all.set_result(batch is not None)
                return
            records = decode_batch(batch, self._host)
        except (PyacqError, CancelledError) as error:
            self._end(error)
            return
        self._logs.add(*records)
        self._logs.when_free(partial(self._ask, records[-1].seq + (records[-1].lost or 1)))

    def _end(self, error: BaseException | None) -> None:
        # What was sent has been heard, and the host keeps the rest; but how much that is nobody knows here.
        self.cut_off = True
        log.warning(
            "the last words of %s/%s (pid %d) were not fetched to the end, some may be missing here: %s",
            *(self._host, self._name, self._pid, error),
        )
        self.all.set_result(False)
