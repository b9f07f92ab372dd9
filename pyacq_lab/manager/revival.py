"""Starting a nodegroup again with its nodes: what that takes, and when it is done unasked."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.commands import told, upstream_first_levels
from pyacq_lab.manager.patience import Gate
from pyacq_lab.model.graph import upstream_first
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.recipe import NodeRecipe
from pyacq_lab.model.status import PostMortem
from pyacq_lab.wire.envelope import Event
from pyacq_lab.wire.messages import Follow

if TYPE_CHECKING:
    from pyacq_lab.manager.groups import NodeGroupHandle
    from pyacq_lab.manager.nodes import NodeHandle

log = logging.getLogger(__name__)

RestartPolicy = Literal["never", "on-failure"]

MOST_RESTARTS = 5
"""Times that a nodegroup is started again by itself within `RESTARTS_WITHIN` seconds."""

RESTARTS_WITHIN = 60.0

VERDICT = 2.0
"""Seconds that a host has to tell that a process has died, after the connection to it was lost."""


_PATIENCE = 5.0


class Allowance:
    """So many times within so many seconds, and no more. Time is an argument."""

    def __init__(self, most: int = MOST_RESTARTS, within: float = RESTARTS_WITHIN) -> None:
        self._most = most
        self._within = within
        self._times: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Whether it may be done once more now; it counts then."""
        while self._times and self._times[0] <= now - self._within:
            self._times.popleft()
        if len(self._times) >= self._most:
            return False
        self._times.append(now)
        return True


class Revival:
    """Knows at every instant how to make the nodes of a nodegroup again, and does so.

    Parameters
    ----------
    group : NodeGroupHandle
        The nodegroup.
    policy : {'never', 'on-failure'}
        Whether it is started again by itself.

    Attributes
    ----------
    lock : threading.RLock
        Held while it is started again, or ended.
    gate : Gate
        Shut while it is started again; others wait there.
    """

    def __init__(self, group: NodeGroupHandle, policy: RestartPolicy) -> None:
        self.lock = threading.RLock()
        self.gate = Gate(group.reactor, group.where)
        self._group = group
        self._policy: RestartPolicy = policy
        self._recipes: dict[str, NodeRecipe] = {}
        self._settings: dict[str, dict[str, Any]] = {}
        self._unfinished: list[NodeRecipe] = []  # of nodes that are being made again
        self._allowance = Allowance()
        self._called_off = False
        self._doubt: int | None = None  # timer that runs while it may have died
        self._threads: list[threading.Thread] = []

    # --- what the nodes are

    def follow(self) -> None:
        """Have the nodegroup tell of its nodes, from now on; returns when what they are now is known.

        It is told by events before the answer. The future is done by the thread that takes them, in the
        order in which they came: a thread that received the answer itself might be ahead of it.
        """
        self._group.client.request(Follow(), _PATIENCE).result()

    def follow_again(self) -> None:
        """Do so after a lost connection; the reactor's thread."""
        self._end_doubt()
        try:
            self._group.client.request(Follow(), _PATIENCE)
        except PyacqError as error:  # it is done the next time
            log.debug("%s was lost again: %s", self._group.where, error)

    def hear(self, event: Event) -> None:
        """Take note of a node that has changed; the reactor's thread."""
        if event.topic != "recipe":
            return
        self._group.host.manager.rigs.note(self._group)
        recipe, settings = event.value
        if recipe.state is State.CLOSED:
            self.forget(recipe.name)
            return
        self._recipes[recipe.name] = recipe
        if settings is not None:
            self._settings[recipe.name] = settings

    def forget(self, name: str) -> None:
        """Forget a node: it was removed."""
        self._recipes.pop(name, None)
        self._settings.pop(name, None)

    # --- by hand

    def restart(self, grace: float, nodes: bool) -> None:
        """Start the nodegroup again; see `NodeGroupHandle.restart`."""
        with self.lock:
            self._called_off = False
            self._restart(grace, nodes)

    def _restart(self, grace: float, nodes: bool) -> None:
        self.gate.shut()
        self.gate.keep(by_me=True)
        try:
            self._start_again(grace, nodes)
        finally:
            self.gate.keep(by_me=False)
            self.gate.open()

    def _start_again(self, grace: float, nodes: bool) -> None:
        group = self._group
        if group.alive and group.client.connected:
            try:
                self.follow()  # what it has told last may still be on its way
            except PyacqError as error:
                log.warning(
                    "%s does not say what its nodes are now, so they are made as they were when it last did: "
                    "%s", group.where, error,
                )  # fmt: skip
        recipes = self._unfinished or list(self._recipes.values())
        group.begin_again(grace, nodes)
        if not nodes:
            self._recipes, self._settings, self._unfinished = {}, {}, []
            if recipes:
                names = ", ".join(recipe.name for recipe in recipes)
                log.warning("%s was started again without its nodes: make %s anew", group.where, names)
            return
        self._unfinished = recipes
        errors = self._rebuild(recipes)
        group.check_alive()  # else they are made again the next time
        self._unfinished = []
        if errors:
            raise errors[0]

    def _rebuild(self, recipes: list[NodeRecipe]) -> list[BaseException]:
        """Make nodes again, upstream first, and start those that ran, readers first."""
        group, by_name = self._group, {recipe.name: recipe for recipe in recipes}
        edges = [edge for recipe in recipes for edge in recipe.edges()]
        nodes: list[NodeHandle] = []
        errors: list[BaseException] = []
        for name in upstream_first(by_name, edges):
            try:
                nodes.append(group.make_node_again(by_name[name], self._settings.get(name, {})))
            except PyacqError as error:
                log.exception("node %s/%s could not be made again", group.where, name)
                errors.append(error)
        levels = upstream_first_levels(nodes, edges)
        for level in levels:
            due = [n for n in level if by_name[n.name].state in (State.READY, State.RUNNING)]
            errors += self._told("initialize", due, State.CONFIGURED)
        ran = [n.name for n in nodes if by_name[n.name].state is State.RUNNING]
        for level in reversed(levels):
            errors += self._told("start", [n for n in level if n.name in ran], State.READY)
        if faulted := [r.name for r in recipes if r.state is State.FAULTED]:
            log.warning("%s were faulted; they are configured now: start them", ", ".join(faulted))
        if recipes and not errors:
            log.warning(
                "%s was started again with its nodes %s; running again: %s",
                group.where, ", ".join(by_name), ", ".join(ran) or "none",
            )  # fmt: skip
        return errors

    def _told(self, command: str, nodes: list[Any], state: State) -> list[BaseException]:
        errors = told(command, nodes, state)
        for error in errors:
            log.error("%s: a node could not %s again: %s", self._group.where, command, error)
        return errors

    # --- by policy

    def died(self, found: PostMortem) -> None:
        """Note that its process is gone, and start it again where that is wanted; the reactor's thread."""
        group = self._group
        if self._policy == "never" or found.expected or found.exit_code == 0 or self._called_off:
            group.mark_ended(found.description, found)
            self._end_doubt()
            return
        self.gate.shut()  # before anybody can find it dead
        group.mark_ended(found.description, found)
        self._end_doubt()
        thread = threading.Thread(
            target=self._revive, args=(found,), name=f"restart of {self._group.where}", daemon=True
        )
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def lost(self) -> None:
        """Take note that its process does not answer: it may have died, which its host tells then.

        Until it does, but not for long, calls wait as if it had. The reactor's thread.
        """
        if self._policy == "never" or self._called_off or self._doubt is not None:
            return
        self.gate.shut()
        self._doubt = self._group.reactor.call_every(VERDICT, self._end_doubt)

    def _end_doubt(self) -> None:
        timer, self._doubt = self._doubt, None
        if timer is not None:
            self._group.reactor.cancel(timer)
            self.gate.open()

    def call_off(self) -> None:
        """Start it again no more by itself; any thread."""
        self._called_off = True

    def wait(self) -> None:
        """Wait until nothing of it goes on; it was called off, and the host's connection is closed."""
        for thread in self._threads:
            thread.join()

    def _revive(self, found: PostMortem) -> None:
        try:
            self._revive_while_it_dies(found)
        finally:
            self.gate.open()

    def _revive_while_it_dies(self, found: PostMortem) -> None:
        group = self._group
        with self.lock:
            while not group.alive and not self._called_off:
                if not self._allowance.take(time.monotonic()):
                    log.critical(
                        "%s is not started again: it was %d times within %g s already; %s",
                        group.where, MOST_RESTARTS, RESTARTS_WITHIN, group.post_mortem or found,
                    )  # fmt: skip
                    return
                log.warning("%s %s: it is started again", group.where, found.description)
                try:
                    self._restart(0.0, nodes=True)
                except PyacqError as error:
                    level = logging.DEBUG if self._called_off else logging.ERROR
                    log.log(level, "%s was not started again as it was: %s", group.where, error)
            if self._called_off and group.host.client.connected is False:
                group.release()
