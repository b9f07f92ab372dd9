"""Serves a nodegroup's control socket: a lane for control and one lane per node for calls."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pyacq_lab.errors import UnknownName
from pyacq_lab.model.roles import Clock
from pyacq_lab.nodegroup.api import NodeGroupApi
from pyacq_lab.transport.rpc import Peer, Work
from pyacq_lab.wire.messages import Call, DumpStacks, GroupState, Ping, StopAll


class GroupServer:
    """Serves the requests of `wire.messages.GroupRequest`.

    Control requests are served in the reactor's thread: they run no user code and wait for nothing, so
    they are answered whatever the kernel and the nodes are doing. Calls go to one thread per target, in
    the order in which they came.
    """

    def __init__(self, api: NodeGroupApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._lanes: dict[str, ThreadPoolExecutor] = {}

    def handle(self, message: Any, peer: Peer) -> Any | Future[Any]:
        """Serve one request; the reactor's thread."""
        match message:
            case Call(target, method, args, kwargs):
                return Work(target, lambda: self._call(target, method, args, kwargs))
            case Ping():
                return self._clock.now_ns()
            case GroupState():
                return self._api.statuses()
            case StopAll():
                return self._api.request_stop_all()
            case DumpStacks():
                return dump_stacks()
            case _:
                raise UnknownName(f"a nodegroup does not serve {type(message).__name__}")

    def close(self) -> None:
        """Take no more calls; those that wait are cancelled."""
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)

    def _lane(self, target: str) -> ThreadPoolExecutor:
        if target != "group":
            self._api.node(_node_name(target))  # no lane for what does not exist
        if target not in self._lanes:
            self._lanes[target] = ThreadPoolExecutor(1, thread_name_prefix=f"call {target}")
        return self._lanes[target]

    def _call(self, target: str, method: str, args: Any, kwargs: Any) -> Any:
        return self._find(target, method)(*args, **kwargs)

    def _find(self, target: str, method: str) -> Callable[..., Any]:
        owners: list[Any] = [self._api]
        if target != "group":
            node = self._api.node(_node_name(target))
            owners = [node, node.component]
        for owner in owners:
            found = None if method.startswith("_") else getattr(owner, method, None)
            if callable(found):
                return found
        kind = (
            self._api.node(_node_name(target)).component_type.__name__ if target != "group" else "nodegroup"
        )
        raise UnknownName(
            f"{target} has no public method {method!r}; see dir() of its handle for what a {kind} offers"
        )


def _node_name(target: str) -> str:
    kind, _, name = target.partition(":")
    if kind != "node":
        raise UnknownName(f"unknown target {target!r}: wanted 'group' or 'node:NAME'")
    return name


def dump_stacks() -> str:
    """Stack of every thread, as text."""
    names = {t.ident: t.name for t in threading.enumerate()}
    parts: list[str] = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001  the documented way to see other threads
        parts.append(f"Thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}")
    return "\n".join(parts)
