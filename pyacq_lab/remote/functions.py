"""Functions of this process that the other end of a connection may call."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from pyacq_lab.errors import UnknownName
from pyacq_lab.remote.calls import current_chain
from pyacq_lab.transport.lanes import Lanes
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.errors import describe_error
from pyacq_lab.wire.messages import Answer, AnswerFailure, CallBack, Forget
from pyacq_lab.wire.values import Export


class Functions:
    """Local functions that were passed to one nodegroup, and the threads in which it calls them.

    Calls of one function run one after the other, of different functions side by side, never in the
    thread that receives nor in the caller's own: it may be waiting for the very call that calls back.

    Parameters
    ----------
    where : str
        The place that errors name.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._held: dict[str, tuple[Callable[..., Any], int]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._lanes: Lanes | None = None
        self._closed = False

    def name(self, function: Callable[..., Any]) -> str:
        """Name by which the other side may call a function, until it says `Forget` as often."""
        with self._lock:
            for target, (held, count) in self._held.items():
                if held == function:
                    self._held[target] = held, count + 1
                    return target
            target = f"function:{next(self._numbers)}"
            self._held[target] = function, 1
            return target

    def serve(self, number: int, body: CallBack | Forget, client: RpcClient, export: Export) -> None:
        """Serve one request; the reactor's thread."""
        if isinstance(body, Forget):
            self._forget(body)
            return
        with self._lock:
            if self._closed:
                return
            if self._lanes is None:
                self._lanes = Lanes(f"callback {self._where}")
            lanes = self._lanes
        job = _Called(self, number, body, client, export)
        if lanes.enter(job):
            lanes.work_elsewhere(job)

    def find(self, target: str) -> Callable[..., Any]:
        """Function of a name. Raises UnknownName."""
        with self._lock:
            if target not in self._held:
                raise UnknownName(f"{target} was let go of, or never passed")
            return self._held[target][0]

    def close(self) -> None:
        """Let go of all; idempotent."""
        with self._lock:
            self._closed = True
            self._held.clear()
            lanes, self._lanes = self._lanes, None
        if lanes is not None:
            lanes.close()

    def __len__(self) -> int:
        return len(self._held)

    def _forget(self, body: Forget) -> None:
        with self._lock:
            if body.target in self._held:
                function, count = self._held.pop(body.target)
                if count > body.count:
                    self._held[body.target] = function, count - body.count


class _Called:
    """One call of a local function by the other side."""

    def __init__(
        self, functions: Functions, number: int, body: CallBack, client: RpcClient, export: Export
    ) -> None:
        self.lane = body.target
        self.chain = body.chain
        self._functions = functions
        self._number = number
        self._body = body
        self._client = client
        self._export = export

    def run(self) -> None:
        token = current_chain.set(self.chain)
        try:
            value = self._functions.find(self.lane)(*self._body.args, **self._body.kwargs)
            self._client.tell(Answer(self._number, value), self._export)
        except Exception as error:  # also where the value cannot travel
            self._failed(error)
        finally:
            current_chain.reset(token)

    def cancel(self) -> None:
        """Nothing to say: the connection is being closed, and with it all that waits."""

    def refuse(self, error: Exception) -> None:
        """Answer by an error."""
        self._failed(error)

    def _failed(self, error: Exception) -> None:
        if self._client.connected:
            self._client.tell(
                AnswerFailure(self._number, describe_error(error, "a callback in the notebook"))
            )
