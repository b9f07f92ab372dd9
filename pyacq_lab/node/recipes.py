"""Making a node again from its recipe."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pyacq_lab.errors import ConfigurationError, UnknownName
from pyacq_lab.model.recipe import InputRecipe, NodeRecipe
from pyacq_lab.model.stream import StreamAddress
from pyacq_lab.node.group import NodeGroup
from pyacq_lab.node.node import Node

log = logging.getLogger(__name__)


def make_again(group: NodeGroup, recipe: NodeRecipe, settings: Mapping[str, Any]) -> Node[Any]:
    """Make a node in this group as it was in another process, up to its wiring: it is not initialised.

    Its outputs listen where they did, so that their readers find them; where somebody else has that place
    by now, they listen elsewhere and the log says so. The nodes that it reads in this group come first.
    """
    node = group.make_node(recipe.type, recipe.name)
    if recipe.is_configured:
        _serve_again(node, recipe, here=True)
        try:
            node.configure(**settings)
        except ConfigurationError as error:
            if not any(output.port for output in recipe.outputs):
                raise
            _serve_again(node, recipe, here=False)
            node.configure(**settings)
            log.warning(
                "outputs of %s are at other addresses than before (%s): connect their readers again",
                recipe.name, error,
            )  # fmt: skip
    for wired in recipe.inputs:
        address = _address_now(group, wired)
        node.connect(wired.name, address, wired.policy, wired.backfill, wired.transfermode)  # pyright: ignore[reportArgumentType]
    return node


def _serve_again(node: Node[Any], recipe: NodeRecipe, here: bool) -> None:
    for output in recipe.outputs:
        serving = dict(output.serving)
        if output.port:
            serving["port"] = output.port if here else serving.get("port", "*")
        if serving:
            node.configure_output(output.name, **serving)


def _address_now(group: NodeGroup, wired: InputRecipe) -> StreamAddress:
    """Where the output is by now: of a node of this very group, that may be another endpoint."""
    address = wired.address
    if address.node not in group.nodes:
        return address
    try:
        now = group.node(address.node).output_address(address.port)
    except UnknownName:
        return address
    # The very address where it is the same place: it is the one by which others reach this machine.
    return address if now.tcp_port and now.tcp_port == address.tcp_port else now
