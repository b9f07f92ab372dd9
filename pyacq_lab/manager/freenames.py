"""Names that are still free: those of nodegroups and nodes are unique in the application."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.manager.localgroup import LocalNodeGroup
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.names import check_name

_OTHERS = frozenset({"host", "manager", "notebook"})
"""Processes that are no nodegroups and have these names in the log."""


def group(
    there: Sequence[NodeGroupHandle], name: str | None, numbers: Iterator[int], here: Container[str] = ()
) -> str:
    """Name for a new nodegroup; a dead one gives its name up, groups of nodes ``here`` do not.

    Raises
    ------
    ConfigurationError
        It is no name, or stands for something else, or a living nodegroup has it.
    """
    if name is not None:
        check_name(name, "nodegroup")
        if name in _OTHERS:
            raise ConfigurationError(
                f"name of a nodegroup: {name!r} came, which stands for another process in the log: "
                "choose another name"
            )
    groups = {group.name: group for group in there}
    if name in groups and not groups[name].alive:
        dead = groups.pop(name)
        dead.host.forget(dead)
    if name is None:
        return next(n for i in numbers if (n := f"group{i}") not in groups and n not in here)
    if name in groups or name in here:
        raise ConfigurationError(f"there already is a nodegroup {name!r}: choose another name")
    return name


def local(taken: Container[str], name: str | None) -> str:
    """Name for a group of nodes in this process. Raises ConfigurationError as `group`."""
    if name is None:
        return _numbered(taken, "here")
    check_name(name, "nodegroup")
    if name in taken:
        raise ConfigurationError(f"there already is a nodegroup {name!r}: choose another name")
    return name


def node(there: Sequence[NodeGroupHandle | LocalNodeGroup], type_name: str, name: str | None) -> str:
    """Name for a new node; a closed one gives its name up.

    Raises
    ------
    ConfigurationError
        It is no name, or a living node has it.
    """
    if name is not None:
        check_name(name, "node")
    taken = {node: group for group in there if group.alive for node in group.known_nodes}
    if name in taken and taken[name].node_status(name).state is State.CLOSED:
        taken.pop(name).remove_node(name)
    if name is None:
        return next(n for i in itertools.count(1) if (n := f"{type_name}{i}") not in taken)
    if name in taken:
        raise ConfigurationError(
            f"there already is a node {name!r} in {taken[name].where}: choose another name"
        )
    return name


def host(taken: Container[str], name: str) -> str:
    """Name for a new host: its own, with a number behind it where that is taken."""
    return _numbered(taken, name)


def _numbered(taken: Container[str], name: str) -> str:
    """Give a name, with a number behind it where it is taken."""
    if name not in taken:
        return name
    return next(n for i in itertools.count(2) if (n := f"{name}-{i}") not in taken)
