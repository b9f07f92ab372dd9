"""What every node must do, whatever its role: live in its table of lives, and fail without harm to others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pyacq_lab.errors import EndOfStream, LifecycleError
from pyacq_lab.manager.localgroup import LocalNode, LocalNodeGroup
from pyacq_lab.model.chunk import Chunk, Gap, Reading
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Component, Sink, Source
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing.checks import check, random_samples
from pyacq_lab.testing.hooks import HookFailed, failing, hooks_of

if TYPE_CHECKING:
    import pytest


class NodeContract:
    """Base of tests for a source, transform or sink as a node; subclass it and define `node_type`.

    The node runs in this process, between a source that feeds each input and a sink that takes all outputs.

    Attributes
    ----------
    node_type : type
        Your class.
    n_restarts : int
        How often it is started and stopped.
    patience : float
        How long a sample, or a fault, may take to come, s.

    Examples
    --------
    >>> class TestThermometerAsNode(NodeContract):
    ...     node_type = Thermometer
    ...
    ...     def settings(self):
    ...         return {"port": "/dev/ttyUSB0"}
    """

    node_type: type[Component]
    n_restarts: int = 20
    patience: float = 10.0

    def settings(self) -> Mapping[str, Any]:
        """What it is configured with, each time; its defaults unless overridden."""
        return {}

    def live(self) -> Mapping[str, Any]:
        """Other values of live settings, for a change while it runs; none by default."""
        return {}

    def inputs(self) -> Mapping[str, StreamSpec]:
        """Streams that its inputs get: by default each one of float64, 3 channels and 1000 Hz."""
        if issubclass(self.node_type, Source):
            return {}
        if issubclass(self.node_type, Sink):
            names = self.node_type.inputs or ("in",)
        else:
            made: Any = self.node_type(self.node_type.settings_type.checked(**self.settings()))
            names = made.input_names()
        return {name: StreamSpec(shape=(-1, 3), sample_rate=1000.0) for name in names}

    def test_it_starts_and_stops_many_times(self) -> None:
        """Samples pass in each run, and none leaves it faulted."""
        with self._bench() as bench:
            for _ in range(self.n_restarts):
                before = bench.passed()
                bench.start()
                bench.until(lambda: bench.passed() > before or bench.is_over(), "no sample passed")  # noqa: B023
                bench.stop()
                check(bench.passed() > before, "no sample passed after it was started again")
                check(bench.node.state is State.READY, f"it is {bench.node.state} after stop")

    def test_it_closes_in_every_state(self) -> None:
        """Also while it runs and waits for what does not come; twice is harmless, and nothing follows."""
        for steps in range(4):
            with self._bench(steps) as bench:
                if steps == 3:
                    bench.node.start()
                bench.node.close()
                bench.node.close()
                check(bench.node.state is State.CLOSED, f"it is {bench.node.state} after close")
                bench.check_refuses_start()

    def test_it_closes_while_samples_pass(self) -> None:
        """In the middle of a run, its neighbours still at work."""
        with self._bench(endless=True) as bench:
            bench.start()
            bench.until(lambda: bench.passed() or bench.is_over(), "no sample passed")
            bench.node.close()
            check(bench.node.state is State.CLOSED, f"it is {bench.node.state} after close")
            bench.check_neighbours()

    def test_a_hook_that_fails_harms_nobody_else(self, caplog: pytest.LogCaptureFixture) -> None:
        """For each: the node is faulted and says why, its neighbours go on, `configure` brings it back."""
        kind = failing(self.node_type)
        hooks = [hook for hook in hooks_of(kind) if hook != "change" or self.live()]
        with self._bench(kind=kind) as bench, caplog.at_level(logging.ERROR):
            bench.run(self.live())
            for hook in hooks:
                caplog.clear()
                kind.fails = hook
                with suppress(HookFailed, LifecycleError):  # who commanded what failed is told, too
                    bench.run(self.live())
                bench.until(lambda: bench.node.state is State.FAULTED, f"it is not faulted by {hook}")
                status = bench.node.status()
                check(status.reason.startswith("HookFailed: "), f"{hook}: reason {status.reason!r}")
                check("Traceback" in status.last_error, f"{hook}: no traceback in {status.last_error!r}")
                check(f"HookFailed: {hook}" in caplog.text, f"{hook}: the log does not say that it failed")
                bench.check_refuses_start()
                bench.check_neighbours()
                kind.fails = ""
                bench.stop()
                bench.run(self.live())
                check(bench.node.state is State.READY, f"{hook}: it is {bench.node.state} when mended")

    @contextmanager
    def _bench(
        self, steps: int = 3, *, kind: type[Component] | None = None, endless: bool = False
    ) -> Iterator[_Bench]:
        kind = kind or failing(self.node_type)
        with LocalNodeGroup(name="bench") as group:
            bench = _Bench(group, kind, self, endless)
            for step in (bench.configure, bench.wire, bench.initialize)[:steps]:
                step()
            yield bench


class _Feed(Source):
    """Two chunks with a gap between them, then the end; or at its pace for ever."""

    waits = True
    stream: ClassVar[StreamSpec]
    endless: ClassVar[bool]

    def describe(self) -> Mapping[str, StreamSpec]:
        return {"out": self.stream}

    def open(self) -> None:
        self._n_read = 0

    def read(self, timeout: float) -> Reading:
        if self._n_read == 2 and not self.endless:
            raise EndOfStream
        self._n_read += 1
        if self.endless:
            self.clock.sleep(50 / self.stream.sample_rate)
        data = random_samples(np.random.default_rng(self._n_read), self.stream, 50)
        return Reading(data, lost=5 if self._n_read == 2 else 0)


class _Drain(Sink):
    """Takes whatever comes."""

    inputs = None

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        pass

    def write(self, chunk: Chunk, name: str) -> None:
        pass

    def gap(self, gap: Gap, name: str) -> None:
        pass


class _Bench:
    """A node with its neighbours."""

    def __init__(
        self,
        group: LocalNodeGroup,
        kind: type[Component],
        contract: NodeContract,
        endless: bool,
    ) -> None:
        inputs = contract.inputs()
        self._settings = contract.settings
        self._patience = contract.patience
        self._endless = endless
        feeds = [
            type(f"_Feed_{name}", (_Feed,), {"stream": spec, "endless": endless})
            for name, spec in inputs.items()
        ]
        for node_type in (*feeds, _Drain, kind):
            group.register_node_type(node_type)
        self.feeds = {name: group.create_node(f"_Feed_{name}", f"feed_{name}") for name in inputs}
        self.node: LocalNode = group.create_node(kind.__name__, "subject")
        self.drains = [] if issubclass(kind, Sink) else [group.create_node("_Drain", "drain")]

    @property
    def neighbours(self) -> list[LocalNode]:
        return [*self.feeds.values(), *self.drains]

    def passed(self) -> int:
        """Samples that have come in; those that a source has given."""
        status = self.node.status()
        return max((port.samples for port in status.inputs or status.outputs), default=0)

    def is_over(self) -> bool:
        return self.node.state is not State.RUNNING

    def configure(self) -> None:
        for neighbour in self.neighbours:
            neighbour.configure()
        self.node.configure(**self._settings())

    def wire(self) -> None:
        for name, feed in self.feeds.items():
            self.node.inputs[name].connect(feed.output)
        for drain in self.drains:
            for name, output in self.node.outputs.items():
                drain.inputs[name].connect(output)

    def initialize(self) -> None:
        for node in (*self.feeds.values(), self.node, *self.drains):
            node.initialize()

    def start(self) -> None:
        for node in (*self.drains, self.node, *self.feeds.values()):
            node.start()

    def stop(self) -> None:
        """Stop what runs, what is read first; feeds come to their end by themselves."""
        for feed in self.feeds.values():
            self.until(lambda: self._endless or feed.state is not State.RUNNING, "its input was not taken")  # noqa: B023
        for node in (*self.feeds.values(), self.node, *self.drains):
            if node.state is State.RUNNING:
                node.stop()

    def run(self, live: Mapping[str, Any]) -> None:
        """Live a whole life, from configure to stop, with a change on the way."""
        self.configure()
        self.initialize()
        self.start()
        self.until(lambda: self.passed() or self.is_over(), "no sample passed")
        if live and not self.is_over():
            self.node.change(**live)
        self.stop()

    def check_neighbours(self) -> None:
        for node in self.neighbours:
            check(node.state in (State.READY, State.RUNNING, State.CONFIGURED), f"a neighbour is {node!r}")

    def check_refuses_start(self) -> None:
        try:
            self.node.start()
        except LifecycleError:
            return
        raise AssertionError(f"it could be started: {self.node!r}")

    def until(self, condition: Callable[[], object], words: str) -> None:
        deadline = time.monotonic() + self._patience
        while not condition():
            check(time.monotonic() < deadline, f"{words} within {self._patience:g} s")
            time.sleep(0.002)
