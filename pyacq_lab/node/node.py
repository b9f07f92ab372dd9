"""A node: a role, its ports, its thread, and its place in the table of lifecycles."""

from __future__ import annotations

import logging
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from pyacq_lab.errors import ConfigurationError, EndOfStream, LifecycleError, PyacqError, StreamMismatch
from pyacq_lab.model.choices import check_choice
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import Command, State, next_state
from pyacq_lab.model.recipe import InputRecipe, NodeRecipe
from pyacq_lab.model.rig import Connection
from pyacq_lab.model.roles import Component
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.status import NodeStatus
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.node.changes import Changes
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.current import running_node
from pyacq_lab.node.outputs import NodeOutputs
from pyacq_lab.node.ports import InputPort, Wire, unknown_port
from pyacq_lab.transport.doorbell import Doorbell
from pyacq_lab.transport.ringserver import TransferMode
from pyacq_lab.wire.streaming import Policy

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Component)

START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0


class Node(NodeOutputs, ABC, Generic[C]):
    """Common part of source, transform and sink nodes.

    Commands (`configure`, `initialize`, `start`, `stop`, `close`, `connect`) are given by one thread at a
    time; `request_stop` and `status` by any, at any moment.

    Parameters
    ----------
    name : str
        Unique in its nodegroup.
    component_type : type
        What the node's author wrote.
    context : NodeContext
        What the process lends.
    """

    default_policy: Policy = "lossless"

    def __init__(self, name: str, component_type: type[C], context: NodeContext) -> None:
        super().__init__(name, context)
        self.component_type = component_type
        self.component: C | None = None
        self.inputs: dict[str, InputPort] = {}
        self._last_error = ""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell = Doorbell()  # what the thread waits on, besides its inputs
        self._changes = Changes()
        self._opened = threading.Event()
        self._never_opened = ""  # why the component did not open, where it did not

    # --- commands

    def configure(self, **settings: Any) -> None:
        """Check and take over settings; whatever the node held from earlier ones is forgotten.

        Raises
        ------
        ConfigurationError
            A setting is missing, unknown or out of range; nothing was changed.
        LifecycleError
            The node is running or closed.
        """
        next_state(self._state, Command.CONFIGURE, self._reason)
        with self._faulting():
            component = self.component_type(self.component_type.settings_type.checked(**settings))
            component.clock = self._context.clock
            self._configured(component)
        self.component = component
        for port in self.inputs.values():
            port.forget()
        self._move(Command.CONFIGURE)
        self._tell()

    def change(self, **settings: Any) -> int | None:
        """Give live settings other values, also while the node runs: between two chunks, losing nothing.

        Returns
        -------
        int or None
            Absolute index of the first sample that they hold for: of the first input, or of the first output
            of a source. None where the node does not run: they hold from the next start on.

        Raises
        ------
        ConfigurationError
            A setting is unknown, out of range or not live, or does not fit the stream; nothing was changed.
        LifecycleError
            The node is not configured, faulted or closed; or its component kept its thread busy for too long.
        """
        while True:
            next_state(self._state, Command.CHANGE, self._reason)
            component = self._current()
            wanted = component.settings.changed(**settings)
            if self._state is not State.RUNNING:
                with self._faulting():
                    self._apply(wanted)
                self._tell()
                return None
            try:
                index = self._changes.ask(wanted, self._bell.ring)
            except (ConfigurationError, LifecycleError, StreamMismatch):
                raise
            except Exception as error:
                self._join()
                raise LifecycleError(
                    f"node {self.name!r} faulted while its settings were changed: {self._reason}"
                ) from error
            if index is not None:
                self._tell()
                return index
            self._join()  # it came to its end meanwhile

    def initialize(self) -> None:
        """Learn what comes in, say what goes out, and size everything for it. Upstream nodes come first."""
        next_state(self._state, Command.INITIALIZE, self._reason)
        specs = {name: port.probe() for name, port in self._wired().items()}
        with self._faulting():
            self._initialized(specs)
        self._move(Command.INITIALIZE)
        self._tell()

    def start(self) -> None:
        """Open the component and run. Returns when it is open; raises what its ``open`` raised."""
        next_state(self._state, Command.START, self._reason)
        self._stop_wanted.clear()
        self._opened.clear()
        self._never_opened = ""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._changes.open()
        self._move(Command.START)
        self._thread.start()
        if not self._opened.wait(START_TIMEOUT):
            raise LifecycleError(
                f"node {self.name!r} has not opened within {START_TIMEOUT:g} s; it still tries"
            )
        if self._never_opened:
            raise LifecycleError(f"node {self.name!r} could not start: {self._never_opened}")
        self._tell()

    def stop(self) -> None:
        """Stop, after what was under way has been dealt with. Returns when the thread has ended."""
        next_state(self._state, Command.STOP, self._reason)
        self.request_stop()
        self._join()
        if self._state is State.FAULTED:
            raise LifecycleError(f"node {self.name!r} faulted while it stopped: {self._reason}")

    def request_stop(self) -> None:
        """Ask the node to stop, without waiting; any thread, in any state."""
        self._stop_wanted.set()
        self._bell.ring()

    def close(self) -> None:
        """Stop if need be and release everything; idempotent."""
        self.request_stop()
        self._join()
        self._move(Command.CLOSE)
        for port in self.inputs.values():
            port.close()
        for output in self.outputs.values():
            output.close()
        self._bell.close()
        self._tell()

    def connect(
        self,
        name: str,
        address: StreamAddress,
        policy: Policy | None = None,
        backfill: float = 0.0,
        transfermode: TransferMode = "auto",
    ) -> None:
        """Wire an input to an output.

        Raises
        ------
        UnknownName
            There is no such input.
        LifecycleError
            The node is past CONFIGURED: its buffers are sized for what it had.
        """
        port = self._input(name)
        if self._state not in (State.CREATED, State.CONFIGURED):
            raise LifecycleError(
                f"cannot connect an input of a node that is {self._state}: configure it again, then connect"
            )
        if policy is not None:
            check_choice("policy", policy, Policy)
        check_choice("transfermode", transfermode, TransferMode)
        if any(output.address == address for output in self.outputs.values()):
            raise ConfigurationError(f"node {self.name!r} cannot read itself")
        port.wire = Wire(address, policy or self.default_policy, backfill, transfermode)
        self._tell()

    def disconnect(self, name: str) -> None:
        """Unwire an input. Raises as `connect`."""
        port = self._input(name)
        if self._state is State.RUNNING:
            raise LifecycleError("cannot disconnect an input of a node that is running: stop it first")
        port.wire = None
        self._tell()

    # --- questions

    def settings_schema(self) -> dict[str, Any]:
        """JSON schema of what `configure` takes, with units and what is live; in any state."""
        return self.component_type.settings_type.model_json_schema()

    @property
    def state(self) -> State:
        """Where the node is in its life."""
        return self._state

    def status(self) -> NodeStatus:
        """Snapshot of the node; any thread."""
        component = self.component
        settings = component.settings.model_dump(mode="json") if component is not None else {}
        return NodeStatus(
            name=self.name,
            type=self.component_type.__name__,
            state=self._state,
            reason=self._reason,
            inputs=tuple(p.status() for p in list(self.inputs.values())),
            outputs=tuple(o.status() for o in list(self.outputs.values())),
            settings=settings,
            last_error=self._last_error,
        )

    def edges(self) -> list[Edge]:
        """The node's connections."""
        wires = [(name, port.wire) for name, port in self.inputs.items()]
        return [Edge(w.address.node, w.address.port, self.name, name) for name, w in wires if w is not None]

    def resumed_settings(self) -> dict[str, Any]:
        """Settings with which another process carries on, empty before there are any; any thread."""
        component = self.component
        if component is None:
            return {}
        return {**component.settings.model_dump(exclude_unset=True), **component.resumed_settings()}

    def recipe(self) -> NodeRecipe:
        """What it takes to make this node again in another process, beside its settings; any thread."""
        wires = [(name, port.wire) for name, port in list(self.inputs.items())]
        return NodeRecipe(
            name=self.name,
            type=self.component_type.__name__,
            state=self._state,
            is_configured=self.component is not None,
            inputs=tuple(
                InputRecipe(
                    name=name,
                    address=wire.address,
                    policy=wire.policy,
                    backfill=wire.backfill,
                    transfermode=wire.transfermode,
                )
                for name, wire in wires
                if wire is not None
            ),
            outputs=self._output_recipes(),
        )

    def connections(self) -> list[Connection]:
        """The node's connections, and how they are read."""
        wires = [(name, port.wire) for name, port in list(self.inputs.items())]
        return [
            Connection(
                source=w.address.node,
                output=w.address.port,
                target=self.name,
                input=name,
                policy=w.policy,
                backfill=w.backfill,
                transfermode=w.transfermode,
            )
            for name, w in wires
            if w is not None
        ]

    # --- for the roles

    @abstractmethod
    def _configured(self, component: C) -> None:
        """Prepare for a new component; raise ConfigurationError to refuse it, having changed nothing."""

    @abstractmethod
    def _initialized(self, specs: Mapping[str, StreamSpec]) -> None:
        """Size everything for what comes in."""

    @abstractmethod
    def _open(self) -> None:
        """Open the component. Called by the node's thread at each start."""

    @abstractmethod
    def _loop(self) -> None:
        """Work until `_stop_wanted` is set. Called by the node's thread."""

    @abstractmethod
    def _finish(self) -> None:
        """Say that the run is over. Called by the node's thread, also after a fault."""

    @abstractmethod
    def _at(self) -> tuple[int, str]:
        """Where the node stands: index of the next sample, and in words. Called by the node's thread."""

    def _change_if_asked(self) -> None:
        """Take over live settings. Called by the node's thread between two chunks."""
        if self._changes.waiting:
            self._changes.serve(self._apply_here)

    def _apply_here(self, settings: Settings) -> int:
        index, words = self._at()
        self._apply(settings, f" from {words} on")
        return index

    def _apply(self, settings: Settings, since: str = "") -> None:
        component = self._current()
        before = component.settings
        changed = [n for n in settings.live_names() if getattr(settings, n) != getattr(before, n)]
        if not changed:  # no state is worth losing for that
            return
        component.change(settings)
        values = ", ".join(f"{name}={getattr(settings, name)!r}" for name in changed)
        log.info("node %s changed%s: %s", self.name, since, values)

    def _checked(self, described: Any) -> Mapping[str, StreamSpec]:
        """What an author's ``describe`` gave; raises ConfigurationError where that is none."""
        if isinstance(described, Mapping) and all(isinstance(s, StreamSpec) for s in described.values()):
            return described
        kind = self.component_type.__name__
        raise ConfigurationError(
            f"{kind}.describe gave {described!r}; wanted {{name of an output: StreamSpec}}"
        )

    def _wired(self) -> dict[str, InputPort]:
        return self.inputs

    def _input(self, name: str) -> InputPort:
        if name not in self.inputs:
            raise unknown_port("input", name, list(self.inputs), self.name)
        return self.inputs[name]

    def _current(self) -> C:
        if self.component is None:
            raise LifecycleError(f"node {self.name!r} is not configured")
        return self.component

    # --- the thread

    def _run(self) -> None:
        with running_node(self.name):
            fault: BaseException | None = None
            try:
                self._open()
                self._opened.set()
                self._loop()
            except EndOfStream as end:
                log.info("node %s came to its end: %s", self.name, end or "nothing more to give")
            except BaseException as error:  # an author's sys.exit() is a fault, too
                fault = error
            for ending in (self._finish, self._current().close):
                try:
                    ending()
                except Exception as error:
                    fault = fault or error
                    log.exception("node %s could not be put away cleanly", self.name)
            if fault is None:
                self._move(Command.STOP)
            else:
                reason = f"{type(fault).__name__}: {fault}"
                self._never_opened = "" if self._opened.is_set() else reason
                self._fault(fault, reason)
            self._changes.close()
            self._tell()
            self._opened.set()

    @contextmanager
    def _faulting(self) -> Iterator[None]:
        """Let a hook that is called for a command refuse; any other error of it is a fault, too."""
        try:
            yield
        except PyacqError:
            raise
        except Exception as error:
            with running_node(self.name):
                self._fault(error, f"{type(error).__name__}: {error}")
            raise

    def _fault(self, error: BaseException, reason: str) -> None:
        log.error("node %s faulted: %s", self.name, error, exc_info=error)
        self._last_error = "".join(traceback.format_exception(error))
        self._move(Command.FAULT, reason)

    def _move(self, command: Command, reason: str = "") -> None:
        with self._lock:
            self._state = next_state(self._state, command)
            self._reason = reason

    def _join(self) -> None:
        thread = self._thread
        if thread is None:
            return
        thread.join(STOP_TIMEOUT)
        if thread.is_alive():
            raise LifecycleError(
                f"node {self.name!r} was asked to stop but its {self.component_type.__name__} has not "
                f"returned within {STOP_TIMEOUT:g} s; it ends with its nodegroup"
            )
        self._thread = None
