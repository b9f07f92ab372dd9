"""Tells recorders of the set-up that they are part of, and of the clocks in it."""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.localgroup import LocalNode, LocalNodeGroup
from pyacq_lab.manager.nodes import NodeHandle
from pyacq_lab.manager.snapshot import ask
from pyacq_lab.model.clock import ClockOffset
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.rig import (
    NOTEBOOK,
    ClockReading,
    Connection,
    GroupParts,
    HostEntry,
    NodeEntry,
    NodeGroupEntry,
    Rig,
)
from pyacq_lab.model.versions import packages
from pyacq_lab.wire.messages import Call, DescribeNodes

if TYPE_CHECKING:
    from pyacq_lab.manager.groups import NodeGroupHandle
    from pyacq_lab.manager.hosts import HostHandle
    from pyacq_lab.manager.manager import Manager

log = logging.getLogger(__name__)

LOOK_PERIOD = 1.0
"""Seconds between two looks at the set-up, while a sink runs that wants to be told of it."""

CLOCK_PERIOD = 10.0
"""Seconds between two readings of the clocks for it."""

_PATIENCE = 5.0


class RigTeller:
    """Tells each sink with `wants_rig` what the set-up is: before its start, and when it changes.

    While none of them runs, nobody is asked for anything. While one does, each nodegroup is asked once a
    second over its control lane, from the reactor's thread, and what has not changed is not told again.

    Parameters
    ----------
    manager : Manager
        Whose set-up it is.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        self._watched: dict[str, tuple[int, Rig | None]] = {}  # by node: its process, what that was told
        self._silent: set[str] = set()  # who could not be told, which was said
        self._under_way = False
        self._clocks_due = 0.0
        self._timer = manager.reactor.call_every(LOOK_PERIOD, self._look)

    def close(self) -> None:
        """Look no more."""
        self._manager.reactor.cancel(self._timer)

    def rig(self) -> Rig:
        """The set-up now; who does not answer is left out, with a warning."""
        done: Future[Rig] = Future()
        self._gather(done.set_result)
        return done.result(_PATIENCE + 1.0)

    def before_start(self, node: NodeHandle | LocalNode) -> None:
        """Tell a sink of the set-up, since it is about to start; waits. What fails is only said."""
        try:
            rig = self.rig()
            for told in self._tell(node, rig):
                told.result(_PATIENCE)
        except (PyacqError, TimeoutError) as error:
            self._say(node.where, error)
        with self._lock:
            self._watched[node.name] = _process_of(node), None
            self._clocks_due = 0.0

    # --- the reactor's thread

    def _look(self) -> None:
        if not self._watched or self._under_way:
            return
        self._under_way = True
        self._gather(self._on_rig)

    def _on_rig(self, rig: Rig) -> None:
        self._under_way = False
        now = time.monotonic()
        with_clocks = now >= self._clocks_due
        if with_clocks:
            self._clocks_due = now + CLOCK_PERIOD
        here = {node.name: node for node in self._sinks()}
        for name, (process, known) in list(self._watched.items()):
            node, entry = here.get(name), rig.node(name)
            if node is None or entry is None:  # its nodegroup has died, and may be started again
                continue
            if entry.state is not State.RUNNING:
                with self._lock:
                    if process == _process_of(node) and entry.state is not State.READY:
                        self._watched.pop(name, None)
                if entry.state is not State.READY:
                    continue
            if known != rig or with_clocks or process != _process_of(node):
                self._watched[name] = _process_of(node), rig
                for told in self._tell(node, rig):
                    told.add_done_callback(lambda future, where=node.where: self._on_told(where, future))

    def _on_told(self, where: str, answer: Future[Any]) -> None:
        error = answer.exception()
        if error is None:
            self._silent.discard(where)
        else:
            self._say(where, error)

    def _say(self, where: str, error: BaseException) -> None:
        if where not in self._silent:
            self._silent.add(where)
            log.warning("%s could not be told of the set-up, it records all the same: %s", where, error)

    # --- who is there

    def _sinks(self) -> list[NodeHandle | LocalNode]:
        """Nodes that want to be told, as far as there are handles of them; nobody is asked."""
        groups = self._manager.list_nodegroups()
        remote = [node for group in groups if group.alive for node in group.known_handles()]
        local = [node for group in self._manager.local_groups() for node in group.known_handles()]
        return [node for node in (*remote, *local) if node.wants_rig]

    def _tell(self, node: NodeHandle | LocalNode, rig: Rig) -> list[Future[Any]]:
        """Tell one sink of the set-up and of the clocks; does not wait."""
        readings = self._readings()
        if isinstance(node, LocalNode):
            if (component := node.node.component) is not None:
                component.take_rig(rig, node.name)
                component.take_clocks(readings)
            return []
        target = f"node:{node.name}"
        client = node.group.client
        return [
            ask(client, Call(target, "take_rig", (rig, node.name))),
            ask(client, Call(target, "take_clocks", (readings,))),
        ]

    def _readings(self) -> tuple[ClockReading, ...]:
        now_ns = self._manager.clock.now_ns()
        known = [host.clock for host in self._manager.list_hosts()]
        own = ClockOffset(host=NOTEBOOK, uncertainty_ns=0, n_probes=1)
        return tuple(ClockReading.of(clock, now_ns) for clock in (*known, own) if clock.n_probes)

    # --- what there is

    def _gather(self, then: Callable[[Rig], None]) -> None:
        """Ask all nodegroups at once; ``then`` is called with the answers, by whoever receives the last."""
        groups = [group for group in self._manager.list_nodegroups() if group.alive]
        parts: dict[str, GroupParts] = {}
        lock = threading.Lock()
        left = len(groups)

        def take(group: NodeGroupHandle, answer: Future[Any]) -> None:
            nonlocal left
            error = answer.exception()
            if error is None:
                parts[group.name] = answer.result()
                self._silent.discard(group.where)
            elif group.where not in self._silent:
                self._silent.add(group.where)
                log.warning("%s does not say what its nodes are, so no record does: %s", group.where, error)
            with lock:
                left -= 1
                is_last = left == 0
            if is_last:
                then(self._put_together(groups, parts))

        if not groups:
            then(self._put_together(groups, parts))
        for group in groups:
            answer = ask(group.client, DescribeNodes())
            answer.add_done_callback(lambda future, group=group: take(group, future))

    def _put_together(self, groups: list[NodeGroupHandle], parts: dict[str, GroupParts]) -> Rig:
        local = self._manager.local_groups()
        hosts = [_host_entry(host) for host in self._manager.list_hosts()]
        if local:
            hosts.append(_notebook_entry())
        entries = [NodeGroupEntry(name=g.name, host=g.host.name, python=g.python) for g in groups]
        entries += [NodeGroupEntry(name=g.name, host=NOTEBOOK) for g in local]
        nodes: list[NodeEntry] = []
        connections: list[Connection] = []
        for part in (*(parts.get(g.name, GroupParts()) for g in groups), *(g.parts() for g in local)):
            nodes += [node for node in part.nodes if node.state is not State.CLOSED]
            connections += part.connections
        return Rig(
            hosts=tuple(hosts),
            nodegroups=tuple(entries),
            nodes=tuple(nodes),
            connections=tuple(connections),
        )


def _process_of(node: NodeHandle | LocalNode) -> int:
    return 0 if isinstance(node.group, LocalNodeGroup) else node.group.pid


def _host_entry(host: HostHandle) -> HostEntry:
    said = host.welcome
    return HostEntry(
        name=host.name,
        endpoint=host.endpoint,
        platform=said.platform,
        python=said.python,
        packages={"pyacq_lab": said.version, **said.packages},
    )


def _notebook_entry() -> HostEntry:
    return HostEntry(
        name=NOTEBOOK,
        platform=platform.platform(terse=True),
        python=platform.python_version(),
        packages=packages(),
    )
