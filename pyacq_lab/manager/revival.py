"""Starting a nodegroup again with its nodes: what that takes, and when it is done unasked."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.commands import told, upstream_first_levels
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
    """

    def __init__(self, group: NodeGroupHandle, policy: RestartPolicy) -> None:
        self.lock = threading.RLock()
        self._group = group
        self._policy: RestartPolicy = policy
        self._recipes: dict[str, NodeRecipe] = {}
        self._settings: dict[str, dict[str, Any]] = {}
        self._unfinished: list[NodeRecipe] = []  # of nodes that are being made again
        self._allowance = Allowance()
        self._called_off = False
        self._threads: list[threading.Thread] = []

    # --- what the nodes are

    def follow(self) -> None:
        """Have the nodegroup tell of its nodes, from now on."""
        self._take(self._group.client.call(Follow(), 5.0))

    def follow_again(self) -> None:
        """Do so after a lost connection; the reactor's thread."""
        self._group.client.request(Follow(), 5.0).add_done_callback(self._followed)

    def _followed(self, answer: Future[Any]) -> None:
        if answer.exception() is None:  # else the connection was lost again
            self._take(answer.result())

    def hear(self, event: Event) -> None:
        """Take note of a node that has changed; the reactor's thread."""
        if event.topic == "recipe":
            self._take([event.value])

    def forget(self, name: str) -> None:
        """Forget a node: it was removed."""
        self._recipes.pop(name, None)
        self._settings.pop(name, None)

    def _take(self, news: list[tuple[NodeRecipe, dict[str, Any] | None]]) -> None:
        for recipe, settings in news:
            if recipe.state is State.CLOSED:
                self.forget(recipe.name)
                continue
            self._recipes[recipe.name] = recipe
            if settings is not None:
                self._settings[recipe.name] = settings

    # --- by hand

    def restart(self, grace: float, nodes: bool) -> None:
        """Start the nodegroup again; see `NodeGroupHandle.restart`."""
        with self.lock:
            self._called_off = False
            self._restart(grace, nodes)

    def _restart(self, grace: float, nodes: bool) -> None:
        group = self._group
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
        """Start the nodegroup again where that is wanted; the reactor's thread: it does not wait."""
        if self._policy == "never" or found.expected or found.exit_code == 0 or self._called_off:
            return
        thread = threading.Thread(
            target=self._revive, args=(found,), name=f"restart of {self._group.where}", daemon=True
        )
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def call_off(self) -> None:
        """Start it again no more by itself; any thread."""
        self._called_off = True

    def wait(self) -> None:
        """Wait until nothing of it goes on; it was called off, and the host's connection is closed."""
        for thread in self._threads:
            thread.join()

    def _revive(self, found: PostMortem) -> None:
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
