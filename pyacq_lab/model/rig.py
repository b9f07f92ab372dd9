"""A set-up as plain data: which nodes were where, of what kind, with which settings, wired how.

It is what a recording keeps of what made it. Nothing in it is ever executed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import msgspec

from pyacq_lab.model.clock import ClockOffset
from pyacq_lab.model.graph import Edge
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.logtext import shown
from pyacq_lab.model.stream import StreamSpec

FORMAT = "pyacq_lab rig"
VERSION = 1

NOTEBOOK = "notebook"
"""Host of the nodes in the manager's own process, whose clock is the manager's."""

Registered = Literal["built-in", "entry point", "module", "defined"]
"""How a node type came to be known: with this package, with another one, by the name of its module, as a
class that was defined in the notebook."""


class HostEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A machine.

    Attributes
    ----------
    name, endpoint : str
        Its name in the application, and where its host server listens; no endpoint: the manager's process.
    platform, python : str
        Operating system and Python version.
    packages : dict of str to str
        Versions of installed packages, by name; ``pyacq_lab`` among them.
    """

    name: str
    endpoint: str = ""
    platform: str = ""
    python: str = ""
    packages: dict[str, str] = {}


class NodeGroupEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A nodegroup.

    Attributes
    ----------
    name, host : str
        Its name, and the name of its host.
    python : str
        Interpreter that was asked for; empty: the host's own.
    """

    name: str
    host: str
    python: str = ""


class NodeTypeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Which class a node is of.

    Attributes
    ----------
    name : str
        Name of the type, as ``create_node`` takes it.
    registered : str
        How the type came to be known; see `Registered`.
    module, qualname : str
        Where the class is.
    source : str
        Its source text, of a class that was defined in the notebook, as far as it could be had.
    """

    name: str
    registered: Registered = "built-in"
    module: str = ""
    qualname: str = ""
    source: str = ""


class OutputEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An output, and what its stream is; None before the node is initialised."""

    name: str
    spec: StreamSpec | None = None


class NodeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A node.

    Attributes
    ----------
    name, nodegroup : str
        Its name, and the name of its nodegroup.
    role : {'source', 'transform', 'sink'}
        What it does.
    type : NodeTypeEntry
        Its class.
    state : State
        Where it was in its life.
    settings : dict or None
        The settings in force, as ``configure`` takes them; None: not configured.
    outputs : tuple of OutputEntry
        Its outputs.
    """

    name: str
    nodegroup: str
    role: Literal["source", "transform", "sink"]
    type: NodeTypeEntry
    state: State = State.CREATED
    settings: dict[str, Any] | None = None
    outputs: tuple[OutputEntry, ...] = ()


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A stream from an output to an input, and how it is read; as `InputHandle.connect` takes it."""

    source: str
    output: str
    target: str
    input: str
    policy: str = "lossless"
    backfill: float = 0.0
    transfermode: str = "auto"

    @property
    def edge(self) -> Edge:
        """Who is wired to whom."""
        return Edge(self.source, self.output, self.target, self.input)


class GroupParts(msgspec.Struct, frozen=True):
    """What one nodegroup says of its part of a set-up."""

    nodes: tuple[NodeEntry, ...] = ()
    connections: tuple[Connection, ...] = ()


class Rig(msgspec.Struct, frozen=True, kw_only=True):
    """A set-up: hosts, nodegroups, nodes and streams.

    Attributes
    ----------
    format, version : str, int
        Name and version of this form.
    hosts, nodegroups, nodes, connections : tuple
        What there is.
    """

    format: str = FORMAT
    version: int = VERSION
    hosts: tuple[HostEntry, ...] = ()
    nodegroups: tuple[NodeGroupEntry, ...] = ()
    nodes: tuple[NodeEntry, ...] = ()
    connections: tuple[Connection, ...] = ()

    def __repr__(self) -> str:
        counts = {
            "host": self.hosts,
            "nodegroup": self.nodegroups,
            "node": self.nodes,
            "connection": self.connections,
        }
        told = [_counted(len(entries), noun) for noun, entries in counts.items()]
        names = ", ".join(node.name for node in self.nodes)
        return f"<rig: {', '.join(told)}: {names or 'empty'}>"

    def tables(self) -> dict[str, list[tuple[str, ...]]]:
        """What there is as tables of text, by title; the first row of each is its head."""
        return {
            "hosts": [
                ("host", "platform", "python", "versions"),
                *((h.name, h.platform, h.python, _named(h.packages)) for h in self.hosts),
            ],
            "nodegroups": [
                ("nodegroup", "host", "interpreter"),
                *((g.name, g.host, g.python) for g in self.nodegroups),
            ],
            "nodes": [
                ("node", "nodegroup", "type", "state", "settings"),
                *(
                    (n.name, n.nodegroup, n.type.name, str(n.state), settings_text(n.settings or {}))
                    for n in self.nodes
                ),
            ],
            "connections": [
                ("from", "to", "policy"),
                *((f"{c.source}.{c.output}", f"{c.target}.{c.input}", c.policy) for c in self.connections),
            ],
        }

    def _repr_html_(self) -> str:
        return "".join(_html_table(title, rows) for title, rows in self.tables().items() if len(rows) > 1)

    def node(self, name: str) -> NodeEntry | None:
        """Node of a name; None where there is none."""
        return next((node for node in self.nodes if node.name == name), None)

    def host_of(self, node: str) -> str:
        """Name of the host of a node; empty where that is not known."""
        entry = self.node(node)
        groups = {group.name: group.host for group in self.nodegroups}
        return "" if entry is None else groups.get(entry.nodegroup, "")

    def producers(self, node: str) -> dict[str, str]:
        """Names of the hosts whose clocks stamped what a node reads, by its inputs; empty where not known.

        A transform passes on the times of its first input: it is the host of the source behind it.
        """
        return {c.input: self._stamped_on(c.source) for c in self.connections if c.target == node}

    def _stamped_on(self, name: str) -> str:
        passed: set[str] = set()
        while (node := self.node(name)) is not None and name not in passed:
            if node.role == "source":
                return self.host_of(name)
            passed.add(name)
            name = next((c.source for c in self.connections if c.target == name), "")
        return ""


class ClockReading(msgspec.Struct, frozen=True, kw_only=True):
    """How the clock of a host stood to the manager's at an instant.

    Attributes
    ----------
    time_ns : int
        The instant by the manager's clock, ns since 1970 UTC.
    host : str
        Whose clock.
    offset_ns, uncertainty_ns : int
        That clock minus the manager's, and what the true offset lies within of it, ns.
    drift_ppm : float or None
        How much faster it runs, parts per million; None: not known.
    """

    time_ns: int
    host: str
    offset_ns: int
    uncertainty_ns: int
    drift_ppm: float | None = None

    @classmethod
    def of(cls, clock: ClockOffset, time_ns: int) -> ClockReading:
        """Make one of what is known of a clock now."""
        return cls(
            time_ns=time_ns,
            host=clock.host,
            offset_ns=clock.offset_ns,
            uncertainty_ns=clock.uncertainty_ns,
            drift_ppm=clock.drift_ppm,
        )


MOST_TEXT = 60
"""Characters of a setting that are shown at most."""


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings in one line, long ones cut short."""
    return ", ".join(f"{name}={_short(value)}" for name, value in settings.items())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 3]}..."


def _named(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _html_table(title: str, rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{escape(shown(cell))}</td>' for cell in row) + "</tr>"
        for row in rows[1:]
    )
    return f"<table><caption>{title}</caption><tr>{head}</tr>{body}</table>"


def plain_settings(settings: Any) -> Any:
    """Settings, or values in them, as JSON knows them: infinity and NaN as text, which is read as these.

    As numbers they would become ``null``, which means something else to a setting.
    """
    match settings:
        case float() if not math.isfinite(settings):
            return str(settings)
        case dict():
            return {key: plain_settings(value) for key, value in settings.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [plain_settings(value) for value in settings]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return settings
