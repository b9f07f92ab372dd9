"""Tells recorders of the set-up that they are part of, and of the clocks in it."""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from pyacq_lab.errors import ProcessDied, PyacqError
from pyacq_lab.manager.localgroup import LocalNode, LocalNodeGroup
from pyacq_lab.manager.nodes import NodeHandle
from pyacq_lab.manager.snapshot import ask
from pyacq_lab.model.clock import ClockOffset
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.rig import (
    NOTEBOOK,
    ClockReading,
    GroupParts,
    HostEntry,
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

CLOCK_PERIOD = 10.0
"""Seconds between two words on how clocks stand, while a sink runs that wants to be told."""

PAUSE = 0.1
"""Seconds from one look at what has changed to the next; what comes meanwhile is one change."""

LAST_PATIENCE = 2.0
"""Seconds that all have to say what has changed before a sink is stopped."""

_PATIENCE = 5.0


class _Watch:
    """A sink that is told: what it was told last, None where that failed, and whether it was seen running."""

    def __init__(self, told: Rig | None) -> None:
        self.told = told
        self.has_run = False


class RigTeller:
    """Tells sinks with `wants_rig` what the set-up is: before they start, when it changes, before they stop.

    Nodegroups tell of each change by the events that `Revival` follows, too; one that has changed is asked
    for its nodes while such a sink runs, and no other is. Before a start and a stop all are asked: what has
    changed just before may not have been heard of yet.

    Parameters
    ----------
    manager : Manager
        Whose set-up it is.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        self._watched: dict[str, _Watch] = {}  # by node
        self._parts: dict[NodeGroupHandle, GroupParts] = {}  # as each has said last
        self._changed: set[NodeGroupHandle | LocalNodeGroup] = set()
        self._is_due = False  # a look is asked for, or under way
        self._last = -PAUSE
        self._silent: set[str] = set()  # who could not be asked or told, which was said
        self._timer = manager.reactor.call_every(CLOCK_PERIOD, self._tell_clocks)

    def close(self) -> None:
        """Tell what has changed last, and look no more."""
        for node in self._sinks():
            self.before_stop(node)
        self._manager.reactor.cancel(self._timer)

    def rig(self) -> Rig:
        """The set-up now; who does not answer is left out, with a warning."""
        return self._asked(_PATIENCE + 1.0)

    def before_start(self, node: NodeHandle | LocalNode) -> None:
        """Tell a sink of the set-up, since it is about to start; waits. What fails is only said."""
        watch = _Watch(self._tell_and_wait(node, None, _PATIENCE + 1.0))
        with self._lock:
            self._watched[node.name] = watch

    def before_stop(self, node: NodeHandle | LocalNode) -> None:
        """Tell a sink what has changed, since it is about to stop; waits, but not for long."""
        with self._lock:
            watch = self._watched.pop(node.name, None)
        if watch is not None and node.group.alive:
            self._tell_and_wait(node, watch.told, LAST_PATIENCE)

    def note(self, group: NodeGroupHandle | LocalNodeGroup) -> None:
        """Take note that the nodes of a group are others now; any thread, which does not wait."""
        with self._lock:
            if not self._watched:
                return  # all are asked before the next start
            self._changed.add(group)
            if self._is_due:
                return
            self._is_due = True
        self._look_soon()

    def _asked(self, seconds: float) -> Rig:
        """Ask all nodegroups and wait. Raises TimeoutError."""
        done: Future[Rig] = Future()
        self._gather([g for g in self._manager.list_nodegroups() if g.alive], done.set_result)
        return done.result(seconds)

    def _tell_and_wait(self, node: NodeHandle | LocalNode, known: Rig | None, seconds: float) -> Rig | None:
        """Tell a sink what it does not know yet; returns what it knows then, None where that is not sure."""
        try:
            rig = self._asked(seconds)
            if rig != known:
                for told in self._tell(node, rig):
                    told.result(seconds)
        except (PyacqError, TimeoutError) as error:
            self._say(node.where, error)
            return None
        return rig

    # --- the reactor's thread

    def _look_soon(self) -> None:
        wait = self._last + PAUSE - time.monotonic()
        reactor = self._manager.reactor
        if wait <= 0:
            reactor.call_soon(self._look)
            return

        def once() -> None:
            reactor.cancel(timer)
            self._look()

        timer = reactor.call_every(wait, once)

    def _look(self) -> None:
        self._last = time.monotonic()
        with self._lock:
            changed, self._changed = self._changed, set()
        self._gather([g for g in changed if not isinstance(g, LocalNodeGroup) and g.alive], self._on_rig)

    def _on_rig(self, rig: Rig) -> None:
        try:
            self._tell_all(rig)
        finally:
            with self._lock:
                self._is_due = bool(self._changed and self._watched)
                is_due = self._is_due
            if is_due:
                self._look_soon()

    def _tell_clocks(self) -> None:
        """Tell all how clocks stand, and the set-up to those that could not be told."""
        if self._watched:
            self._tell_all(self._put_together(), with_clocks=True)

    def _tell_all(self, rig: Rig, *, with_clocks: bool = False) -> None:
        here = {node.name: node for node in self._sinks()}
        for name, watch in list(self._watched.items()):
            entry = rig.node(name)
            state = None if entry is None else entry.state
            watch.has_run |= state is State.RUNNING
            # One that is started is READY still. One that is made again, in another process, is watched anew.
            if name not in here or (watch.has_run and state is not State.RUNNING):
                with self._lock:
                    if self._watched.get(name) is watch:
                        del self._watched[name]
                continue
            if watch.told == rig and not with_clocks:
                continue
            news = None if watch.told == rig else rig
            watch.told = rig
            for told in self._tell(here[name], news):
                told.add_done_callback(
                    lambda future, watch=watch, where=here[name].where: self._on_told(watch, where, future)
                )

    def _on_told(self, watch: _Watch, where: str, answer: Future[Any]) -> None:
        error = answer.exception()
        if error is None:
            self._silent.discard(where)
        else:
            watch.told = None
            self._say(where, error)

    def _say(self, where: str, error: BaseException) -> None:
        # That a connection is lost is told by those whose it is; what was missed is told when it is back.
        if where not in self._silent and not isinstance(error, ProcessDied):
            self._silent.add(where)
            log.warning("%s could not be told of the set-up, it records all the same: %s", where, error)

    # --- who is there

    def _sinks(self) -> list[NodeHandle | LocalNode]:
        """Nodes that want to be told, as far as there are handles of them; nobody is asked."""
        groups = self._manager.list_nodegroups()
        remote = [node for group in groups if group.alive for node in group.known_handles()]
        local = [node for group in self._manager.local_groups() for node in group.known_handles()]
        return [node for node in (*remote, *local) if node.wants_rig]

    def _tell(self, node: NodeHandle | LocalNode, rig: Rig | None) -> list[Future[Any]]:
        """Tell one sink of the set-up, where there is news of it, and of the clocks; does not wait."""
        readings = self._readings()
        if isinstance(node, LocalNode):
            if (component := node.node.component) is not None:
                if rig is not None:
                    component.take_rig(rig, node.name)
                component.take_clocks(readings)
            return []
        target = f"node:{node.name}"
        calls = [Call(target, "take_clocks", (readings,))]
        if rig is not None:
            calls.insert(0, Call(target, "take_rig", (rig, node.name)))
        return [ask(node.group.client, call) for call in calls]

    def _readings(self) -> tuple[ClockReading, ...]:
        now_ns = self._manager.clock.now_ns()
        known = [host.clock for host in self._manager.list_hosts()]
        own = ClockOffset(host=NOTEBOOK, uncertainty_ns=0, n_probes=1)
        return tuple(ClockReading.of(clock, now_ns) for clock in (*known, own) if clock.n_probes)

    # --- what there is

    def _gather(self, groups: list[NodeGroupHandle], then: Callable[[Rig], None]) -> None:
        """Ask nodegroups at once; ``then`` gets the whole set-up, from whoever receives the last answer."""
        lock = threading.Lock()
        left = len(groups)

        def take(group: NodeGroupHandle, answer: Future[Any]) -> None:
            nonlocal left
            error = answer.exception()
            if error is None:
                with self._lock:
                    self._parts[group] = answer.result()
                self._silent.discard(group.where)
            elif group.where not in self._silent and group.alive and not isinstance(error, ProcessDied):
                self._silent.add(group.where)
                log.warning("%s does not say what its nodes are, so no record does: %s", group.where, error)
            with lock:
                left -= 1
                is_last = left == 0
            if is_last:
                then(self._put_together())

        if not groups:
            then(self._put_together())
        for group in groups:
            answer = ask(group.client, DescribeNodes())
            answer.add_done_callback(lambda future, group=group: take(group, future))

    def _put_together(self) -> Rig:
        """The set-up: what there is, and what has ended but was read by what there is."""
        living = [group for group in self._manager.list_nodegroups() if group.alive]
        local = self._manager.local_groups()
        here = {group: group.parts() for group in local}
        with self._lock:
            said = {group: self._parts.get(group, GroupParts()) for group in living}
            ended = {g: part for g, part in self._parts.items() if g not in said}
            read = _still_read([*said.values(), *here.values()], ended)
            self._parts = said | read
        hosts = [_host_entry(host) for host in self._manager.list_hosts()]
        if local:
            hosts.append(_notebook_entry())
        remote = said | read
        entries = [NodeGroupEntry(name=g.name, host=g.host.name, python=g.python) for g in remote]
        entries += [NodeGroupEntry(name=g.name, host=NOTEBOOK) for g in local]
        parts = [*remote.values(), *here.values()]
        return Rig(
            hosts=tuple(hosts),
            nodegroups=tuple(entries),
            nodes=tuple(node for part in parts for node in part.nodes if node.state is not State.CLOSED),
            connections=tuple(c for part in parts for c in part.connections),
        )


G = TypeVar("G")


def _still_read(living: Sequence[GroupParts], ended: dict[G, GroupParts]) -> dict[G, GroupParts]:
    """Of what has ended, that from which samples came to what lives, and that from which those came."""
    kept: dict[G, GroupParts] = {}
    found = {node.name for part in living for node in part.nodes}
    while True:
        wanted = {c.source for part in (*living, *kept.values()) for c in part.connections} - found
        more = {
            group: part
            for group, part in ended.items()
            if group not in kept and any(node.name in wanted for node in part.nodes)
        }
        if not more:
            return kept
        kept |= more
        found |= {node.name for part in more.values() for node in part.nodes}


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
