"""What a nodegroup can be asked to do with its nodes."""

from __future__ import annotations

import inspect
from typing import Any

import cloudpickle

from pyacq_lab.model.recipe import NodeRecipe
from pyacq_lab.model.remote import MethodInfo, NodeInfo
from pyacq_lab.node.group import NodeGroup, role_of
from pyacq_lab.node.node import Node
from pyacq_lab.node.recipes import make_again
from pyacq_lab.remote.describe import methods_of


class NodeGroupApi(NodeGroup):
    """The nodes of a nodegroup's process, as handles ask for them.

    In the kernel's namespace this is ``nodegroup``.
    """

    def create_node(self, type_name: str, name: str | None = None) -> NodeInfo:
        """Make a node, as `make_node`; returns what its handle needs to know."""
        return describe(self.make_node(type_name, name))

    def register_node_type(self, pickled: bytes) -> str:
        """Add a class that was defined elsewhere, sent by value; returns the type's name.

        Only peers that hold the application's key get here: unpickling runs their code, as running a
        cell does.
        """
        return self.register(cloudpickle.loads(pickled))

    def make_node_again(self, recipe: NodeRecipe, settings: dict[str, Any]) -> None:
        """Make a node that another process had; see `pyacq_lab.node.recipes.make_again`."""
        make_again(self, recipe, settings)

    def describe_node(self, name: str) -> NodeInfo:
        """What a handle needs to know of a node."""
        return describe(self.node(name))


def describe(node: Node[Any]) -> NodeInfo:
    """Describe a node and every public method that it or its component's class offers."""
    found = methods_of(node.component_type, type(node))
    settings = node.component_type.settings_type
    fields = [f"{name} : {settings.about(name)}" for name in settings.model_fields]
    configure = found["configure"]
    found["configure"] = MethodInfo(
        "configure", configure.signature, "\n".join([configure.doc, "", "Settings", "--------", *fields])
    )
    doc = inspect.getdoc(node.component_type) or ""
    return NodeInfo(
        node.name,
        node.component_type.__name__,
        role_of(node.component_type),
        doc,
        tuple(found.values()),
        wants_rig=getattr(node.component_type, "wants_rig", False),
    )
