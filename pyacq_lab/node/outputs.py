"""A node's outputs: what its component says of them, and how its user wants them served."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from pyacq_lab.model.ledger import ReaderStatus
from pyacq_lab.model.lifecycle import Command, State, next_state
from pyacq_lab.model.recipe import OutputRecipe
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.ports import unknown_port
from pyacq_lab.node.serving import Serving
from pyacq_lab.transport.outputs import OutputStream

log = logging.getLogger(__name__)


class NodeOutputs:
    """The part of a node that has its outputs; see `Node`."""

    def __init__(self, name: str, context: NodeContext) -> None:
        self.name = name
        self.outputs: dict[str, OutputStream] = {}
        self._servings: dict[str, Serving] = {}  # how outputs are served, where somebody has said it
        self._described: dict[str, StreamSpec] = {}  # what the component says of them
        self._context = context
        self._state = State.CREATED
        self._reason = ""
        self._stop_wanted = threading.Event()

    def configure_output(self, name: str, **settings: Any) -> None:
        """Say how an output is served; it stays so when the node is configured again.

        What was not said before nor now stays as it would be: at the nodegroup's address, with shared memory
        for those who can. Another protocol, interface or port is another address: inputs that are connected
        to the output must be connected again.

        Parameters
        ----------
        name : str
            The output's name.
        **settings
            protocol, interface, port, transfermode, compression, buffer_size, buffer_seconds; see
            `pyacq_lab.node.serving.Serving`.

        Raises
        ------
        ConfigurationError, MissingDependency
            A setting is unknown, out of range or the node's own to say; nothing was changed.
        LifecycleError
            The node is running or closed.
        UnknownName
            There is no such output.
        """
        next_state(self._state, Command.CONFIGURE, self._reason)
        # The outputs of a source are known when it is configured; until then any name may become one.
        output = self._output(name) if self.outputs else None
        serving = self._servings.get(name, Serving()).changed(settings, f"output {self.name}.{name}")
        if output is not None:
            before = output.address
            serving.apply(output, self._described.get(name))
            if output.address != before:
                log.info(
                    "output %s is at another address now (%s): connect its inputs again",
                    output.full_name, output.address.endpoint,
                )  # fmt: skip
        self._servings[name] = serving
        self._tell()

    def _tell(self) -> None:
        """Let whoever is interested know that the node is another now."""
        self._context.on_change(self)

    def _output_recipes(self) -> tuple[OutputRecipe, ...]:
        names = {*self.outputs, *self._servings}
        return tuple(
            OutputRecipe(
                name=name,
                serving=self._servings.get(name, Serving()).said,
                port=0 if name not in self.outputs else self.outputs[name].address.tcp_port,
            )
            for name in sorted(names)
        )

    def output_address(self, name: str) -> StreamAddress:
        """Where an output can be read. Raises UnknownName where there is none of that name (yet)."""
        return self._output(name).address

    def output_spec(self, name: str) -> StreamSpec | None:
        """What an output's stream is; None where that is not known before the node is initialised."""
        return self._output(name).spec

    def output_readers(self, name: str) -> tuple[ReaderStatus, ...]:
        """Accounts of an output's readers, as it has them. Raises as `output_address`."""
        return self._output(name).readers()

    def _make_outputs(self, names: list[str]) -> None:
        """Have exactly these outputs; those that stay keep their address."""
        for name in [n for n in self.outputs if n not in names]:
            self.outputs.pop(name).close()
            self._described.pop(name, None)
        for name in names:
            if name not in self.outputs:
                output = OutputStream(name, node=self.name, context=self._context)
                try:
                    self._servings.get(name, Serving()).apply(output, None)
                except BaseException:
                    output.close()
                    raise
                self.outputs[name] = output

    def _describe_output(self, name: str, spec: StreamSpec) -> None:
        """Take over what the component says of an output."""
        self._servings.get(name, Serving()).apply(self.outputs[name], spec)
        self._described[name] = spec

    def _wait_room(self, output: OutputStream, count: int, patience: float = 0.0) -> bool:
        """Wait for lossless readers where the stream waits.

        Returns False where there is no room ``patience`` seconds after the node was asked to stop.
        """
        if output.spec is None or not output.spec.waits:
            return True
        deadline: float | None = None
        while not output.wait_room(count, 0.1):
            if self._stop_wanted.is_set():
                deadline = deadline or time.monotonic() + patience
                if time.monotonic() >= deadline:
                    return False
        return True

    def _output(self, name: str) -> OutputStream:
        if name not in self.outputs:
            raise unknown_port("output", name, list(self.outputs), self.name)
        return self.outputs[name]
