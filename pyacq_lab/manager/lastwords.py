"""What an ended process had said and did not come to send: its host has kept it."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError, Future
from typing import Any

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.logcodec import decode_batch
from pyacq_lab.wire.messages import LastWords

log = logging.getLogger(__name__)

_TIMEOUT = 10.0
"""Seconds that the host has to answer."""


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

    Attributes
    ----------
    all : concurrent.futures.Future of bool
        Done in the end; True where everything that the process said has been taken in.
    """

    def __init__(self, client: RpcClient, logs: LogServer, name: str, pid: int, source: str) -> None:
        self.all: Future[bool] = Future()
        self._client = client
        self._logs = logs
        self._name, self._pid = name, pid
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
            records = decode_batch(batch)
        except (PyacqError, CancelledError) as error:
            self._end(error)
            return
        self._logs.add(*records)
        self._ask(records[-1].seq + 1)

    def _end(self, error: BaseException | None) -> None:
        # A host that is gone or being left cannot be asked; what was sent has been heard.
        log.debug("the last words of %s (pid %d) were not fetched: %s", self._name, self._pid, error)
        self.all.set_result(False)
