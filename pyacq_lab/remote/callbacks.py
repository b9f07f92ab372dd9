"""Functions of a client that this process may call, over the connection that the client has made."""

from __future__ import annotations

import itertools
import threading
import weakref
from concurrent.futures import Future
from functools import partial
from typing import Any

from pyacq_lab.errors import CallTimeout, ProcessDied
from pyacq_lab.model.remote import Reference
from pyacq_lab.remote.calls import CALL_TIMEOUT, current_chain
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import RpcServer
from pyacq_lab.wire.errors import rebuild_error
from pyacq_lab.wire.messages import Answer, AnswerFailure, CallBack, Forget
from pyacq_lab.wire.values import Export


class Callbacks:
    """Who waits for which client's answer."""

    def __init__(self, reactor: Reactor) -> None:
        self.server: RpcServer | None = None  # set once the server is there
        self._reactor = reactor
        self._numbers = itertools.count(1)
        self._waiting: dict[tuple[bytes, int], Future[Any]] = {}
        self._lock = threading.Lock()

    def function(self, reference: Reference, routing_id: bytes, export: Export) -> RemoteFunction:
        """Make a function that calls the client's."""
        return RemoteFunction(self, reference, routing_id, export)

    def call(self, routing_id: bytes, body: CallBack, timeout: float, export: Export) -> Any:
        """Call a client's function and wait; not in the receiving thread."""
        number = next(self._numbers)
        future: Future[Any] = Future()
        with self._lock:
            self._waiting[routing_id, number] = future
        try:
            if self.server is None or not self.server.call_back(routing_id, number, body, export):
                raise ProcessDied("the process whose function is to be called is gone")
            return future.result(timeout)
        except TimeoutError:
            raise CallTimeout(f"a callback was not answered within {timeout:g} s") from None
        finally:
            with self._lock:
                self._waiting.pop((routing_id, number), None)

    def answered(self, routing_id: bytes, body: Answer | AnswerFailure) -> None:
        """Wake who waits for an answer; any thread."""
        with self._lock:
            future = self._waiting.pop((routing_id, body.number), None)
        if future is None:
            return  # it came too late
        if isinstance(body, Answer):
            future.set_result(body.value)
        else:
            future.set_exception(rebuild_error(body.error))

    def clients(self) -> set[bytes]:
        """Clients that an answer is awaited from."""
        with self._lock:
            return {routing_id for routing_id, _ in self._waiting}

    def forget_client(self, routing_id: bytes) -> None:
        """Wake all who wait for a client; it is gone."""
        with self._lock:
            gone = [key for key in self._waiting if key[0] == routing_id]
            futures = [self._waiting.pop(key) for key in gone]
        for future in futures:
            future.set_exception(ProcessDied("the process whose function was called is gone"))

    def let_go(self, routing_id: bytes, target: str) -> None:
        """Tell a client that its function is no longer needed; any thread, holding whatever lock."""
        self._reactor.call_soon(partial(self._say_forget, routing_id, target))

    def _say_forget(self, routing_id: bytes, target: str) -> None:
        if self.server is not None:
            self.server.call_back(routing_id, 0, Forget(target, 1))


class RemoteFunction:
    """A function in the process that passed it; call it from any thread but the receiving one.

    Its errors are raised here as `RemoteError`, and of their own type where that is known. ``_timeout``
    is how long it may take, s.
    """

    def __init__(self, callbacks: Callbacks, reference: Reference, routing_id: bytes, export: Export) -> None:
        self._callbacks = callbacks
        self._reference = reference
        self._routing_id = routing_id
        self._export = export
        self.__name__ = reference.type
        weakref.finalize(self, callbacks.let_go, routing_id, reference.target).atexit = False

    def __call__(self, *args: Any, _timeout: float = CALL_TIMEOUT, **kwargs: Any) -> Any:
        """Call it and wait for its value."""
        body = CallBack(self._reference.target, args, kwargs, current_chain.get())
        return self._callbacks.call(self._routing_id, body, _timeout, self._export)

    def __repr__(self) -> str:
        return f"<function {self._reference.type} of a client>"
