"""What it takes to make a node again, in another process, as it was."""

from __future__ import annotations

from typing import Any

import msgspec

from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.stream import StreamAddress


class InputRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """What an input is wired to, and how; fields as `Node.connect` takes them."""

    name: str
    address: StreamAddress
    policy: str
    backfill: float
    transfermode: str


class OutputRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """How an output is served.

    Attributes
    ----------
    name : str
        Its name.
    serving : dict
        What was said of it, as `Node.configure_output` takes it.
    port : int
        TCP port at which it listens; 0: none.
    """

    name: str
    serving: dict[str, Any] = {}
    port: int = 0


class NodeRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it is now.

    Attributes
    ----------
    name, type : str
        Its name and type.
    state : State
        Where it is in its life.
    is_configured : bool
        Whether it has settings. They travel beside this: arrays may be among them.
    inputs, outputs : tuple
        Its wiring, and how it is served.
    """

    name: str
    type: str
    state: State
    is_configured: bool = False
    inputs: tuple[InputRecipe, ...] = ()
    outputs: tuple[OutputRecipe, ...] = ()

    def edges(self) -> list[Edge]:
        """The node's connections."""
        return [Edge(i.address.node, i.address.port, self.name, i.name) for i in self.inputs]
