"""Calls to a nodegroup, in three ways: wait, take a future, or forget."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.messages import Call

Sync = Literal["sync", "async", "off"]

CALL_TIMEOUT = 40.0
"""Seconds that a call may take unless it says otherwise; longer than a node's own bound for opening."""


class Target:
    """Something in a nodegroup that can be called.

    Parameters
    ----------
    client : RpcClient
        Connection to the nodegroup.
    name : str
        ``"group"`` or ``"node:NAME"``.
    where : str
        The place that errors name.
    """

    def __init__(self, client: RpcClient, name: str, where: str) -> None:
        self.client = client
        self.name = name
        self.where = where

    def call(
        self, method: str, *args: Any, _sync: Sync = "sync", _timeout: float = CALL_TIMEOUT, **kwargs: Any
    ) -> Any:
        """Call a remote method.

        Parameters
        ----------
        _sync : {'sync', 'async', 'off'}
            Wait for the value; return a `concurrent.futures.Future`; return None at once and drop the
            value (an error is then only in the log over there).
        _timeout : float
            Seconds.

        Raises
        ------
        RemoteError
            The method raised; where its type is known here, this is of that type too.
        CallTimeout, ProcessDied
            No answer came in time; there is nobody to answer.
        """
        if _sync not in ("sync", "async", "off"):
            raise ConfigurationError(f"_sync={_sync!r}: wanted 'sync', 'async' or 'off'")
        message = Call(self.name, method, args, kwargs)
        if _sync == "sync":
            return self.client.call(message, _timeout)
        future: Future[Any] = self.client.request(message, _timeout)
        return future if _sync == "async" else None


def gather(calls: list[Callable[[], Future[Any]]]) -> list[Any]:
    """Begin several calls, then wait for all; raises the first error after all have ended."""
    futures = [call() for call in calls]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
    return [future.result() for future in futures]
