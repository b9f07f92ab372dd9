"""Calls to something in a nodegroup, in three ways: wait, take a future, or forget."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, Literal, Protocol

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.wire.messages import Call, Get, Message
from pyacq_lab.wire.values import Export

Sync = Literal["sync", "async", "off"]
Returns = Literal["auto", "value", "proxy"]

CALL_TIMEOUT = 40.0
"""Seconds that a call may take unless it says otherwise; longer than a node's own bound for opening."""

current_chain: ContextVar[str] = ContextVar("pyacq_lab_call_chain", default="")
"""The call that the present code is part of, so that a call which comes back does not wait for itself."""


MAX_TIMEOUT = 1e6
"""Longest time that a call may be given, s: eleven days."""


class CallFuture(Future[Any]):
    """Answer of an asynchronous call: ``result()`` waits in a thread, ``await`` in an event loop."""

    def __init__(self, kept: Any = None) -> None:
        super().__init__()
        self._kept = kept  # handles among the arguments live until the other side has its own

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()


class Caller(Protocol):
    """What sends requests: an `RpcClient`, or what stands before one."""

    def call(self, message: Message, timeout: float = ..., export: Export | None = None) -> Any:
        """As `RpcClient.call`."""
        ...

    def request(
        self,
        message: Message,
        timeout: float,
        export: Export | None = None,
        future: Future[Any] | None = None,
    ) -> Future[Any]:
        """As `RpcClient.request`."""
        ...

    def tell(self, message: Message, export: Export | None = None, timeout: float = ...) -> None:
        """As `RpcClient.tell`."""
        ...


class Channel(Protocol):
    """What a target needs of a connection."""

    @property
    def client(self) -> Caller:
        """The connection."""
        ...

    @property
    def export(self) -> Export:
        """Reduces arguments that cannot travel by value."""
        ...


class Target:
    """Something in a nodegroup that can be called.

    Parameters
    ----------
    channel : Channel
        Connection to the nodegroup.
    name : str
        As in `model.remote.Reference`.
    where : str
        The place that errors name.
    """

    def __init__(self, channel: Channel, name: str, where: str) -> None:
        self.channel = channel
        self.name = name
        self.where = where

    def call(
        self,
        method: str,
        /,
        *args: Any,
        _sync: Sync = "sync",
        _timeout: float = CALL_TIMEOUT,
        _return_type: Returns = "auto",
        **kwargs: Any,
    ) -> Any:
        """Call a remote method.

        Parameters
        ----------
        _sync : {'sync', 'async', 'off'}
            Wait for the value; return a `CallFuture`, which can also be awaited; return None at once and
            drop the value (an error is then logged over there).
        _timeout : float
            Seconds, at most `MAX_TIMEOUT`.
        _return_type : {'auto', 'value', 'proxy'}
            The value itself where it can travel, else a proxy of it; only the value; always a proxy.

        Raises
        ------
        RemoteError
            The method raised; where its type is known here, this is of that type too.
        CallTimeout, ProcessDied
            No answer came in time; there is nobody to answer.
        """
        if _sync not in ("sync", "async", "off"):
            raise ConfigurationError(f"_sync={_sync!r}: wanted 'sync', 'async' or 'off'")
        if _return_type not in ("auto", "value", "proxy"):
            raise ConfigurationError(f"_return_type={_return_type!r}: wanted 'auto', 'value' or 'proxy'")
        if not 0 < _seconds(_timeout) <= MAX_TIMEOUT:
            raise ConfigurationError(
                f"_timeout={_timeout!r}: wanted seconds, more than 0, at most {MAX_TIMEOUT:g}"
            )
        channel = self.channel
        message = Call(self.name, method, args, kwargs, current_chain.get(), _return_type)
        if _sync == "sync":
            return channel.client.call(message, _timeout, channel.export)
        if _sync == "async":
            return channel.client.request(message, _timeout, channel.export, CallFuture((args, kwargs)))
        channel.client.tell(message, channel.export, _timeout)
        return None

    def get(self, name: str, timeout: float = CALL_TIMEOUT) -> Any:
        """Value of a public attribute; raises as `call`."""
        return self.channel.client.call(Get(self.name, name, current_chain.get()), timeout)


def _seconds(timeout: object) -> float:
    return timeout if isinstance(timeout, int | float) else -1.0  # which is refused, as nan is
