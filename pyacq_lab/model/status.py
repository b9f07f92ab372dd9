"""Frozen snapshots of what runs where; panels draw them and never ask five questions."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

from pyacq_lab.model.ledger import PortStatus
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.logtext import shown


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one instant.

    Attributes
    ----------
    name, type : str
        The node's name and the name of its type.
    state : State
        Where it is in its life.
    reason : str
        Why it is there, for a fault the error in one line.
    inputs, outputs : tuple of PortStatus
        Its ports, in the order of their declaration.
    settings : dict
        The settings in force, as plain data.
    last_error : str
        The last fault, with its traceback; kept when the node is configured again.
    """

    name: str
    type: str
    state: State
    reason: str = ""
    inputs: tuple[PortStatus, ...] = ()
    outputs: tuple[PortStatus, ...] = ()
    settings: dict[str, object] = {}
    last_error: str = ""

    @property
    def samples(self) -> int:
        """Samples that have passed since it was configured: of its busiest output, or input of a sink."""
        return max((port.samples for port in self.outputs or self.inputs), default=0)

    @property
    def gaps(self) -> int:
        """Samples missing since it was configured, at the port that lacks most."""
        return max((max(port.overruns, port.missing) for port in (*self.inputs, *self.outputs)), default=0)

    @property
    def lag(self) -> float:
        """How far it is behind its producers, s: the duration of what waits at the slowest input."""
        return max((port.ledger.lag for port in self.inputs if port.ledger is not None), default=0.0)

    def html(self, where: str = "") -> str:
        """State and reason, and after a fault the last error, folded up; ``where`` stands for the name."""
        why = f" ({escape(shown(self.reason))})" if self.reason else ""
        error = folded("last error", self.last_error) if self.last_error else ""
        return (
            f"<div><b>{escape(where or self.name)}</b> ({escape(self.type)}): {self.state}{why}{error}</div>"
        )

    def _repr_html_(self) -> str:
        return self.html()


def folded(summary: str, text: str, *, is_open: bool = False) -> str:
    """Lines of text as HTML, behind a summary that shows them when it is clicked on."""
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(summary)}</summary>"
        f'<pre style="max-height:20em;overflow:auto">{escape(shown(text))}</pre></details>'
    )


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a process (tree) or machine uses.

    Attributes
    ----------
    cpu_percent : float
        CPU time over wall time since the last question, percent of one core.
    rss : int
        Resident memory, bytes.
    n_threads : int
        Threads.
    """

    cpu_percent: float = 0.0
    rss: int = 0
    n_threads: int = 0


class GroupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A nodegroup's process at one instant, as its host sees it.

    Attributes
    ----------
    name : str
        The nodegroup's name.
    pid : int
        Process id on its host.
    state : str
        ``starting``, ``running``, ``ended`` (as asked) or ``died``.
    started_ns : int
        When it was started, ns since 1970 UTC.
    usage : Usage
        Of its process tree.
    ending : str
        How it ended, in words: exit code or signal name; empty while it runs.
    """

    name: str
    pid: int = 0
    state: str = "starting"
    started_ns: int = 0
    usage: Usage = Usage()
    ending: str = ""


class PostMortem(msgspec.Struct, frozen=True, kw_only=True):
    """How a nodegroup's process ended, with its last words.

    Attributes
    ----------
    name : str
        The nodegroup's name.
    pid : int
        Process id that it had on its host.
    time_ns : int
        When its end was noticed, ns since 1970 UTC by its host's clock.
    description : str
        How it ended, in one line of words.
    exit_code : int or None
        What it returned; None where a signal ended it or nobody could tell.
    signal : str
        Name of the signal that ended it, such as ``"SIGSEGV"``; empty where none did.
    expected : bool
        Somebody had asked for it.
    output : tuple of str
        The last lines that it wrote, at most 200; after a crash in compiled code, the stack of every
        thread is among them.
    """

    name: str
    pid: int = 0
    time_ns: int = 0
    description: str = ""
    exit_code: int | None = None
    signal: str = ""
    expected: bool = False
    output: tuple[str, ...] = ()

    def __str__(self) -> str:
        last = "\n".join(f"  {line}" for line in self.output) or "  (it wrote nothing)"
        return (
            f"nodegroup {self.name} (pid {self.pid}) {self.description}; its last words:\n{last}\n"
            f"all that it said: {self.way_to_log}"
        )

    @property
    def way_to_log(self) -> str:
        """What finds the lines of the log that belong to it."""
        return f"manager.logs(pid={self.pid}); manager.log_view(process={self.name!r})"

    # What a notebook shows; `repr` has every field.
    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        lines = "\n".join(self.output) or "(it wrote nothing)"
        return (
            f"<div><b>nodegroup {escape(self.name)}</b> (pid {self.pid}): {escape(self.description)}"
            f"{folded('its last words', lines, is_open=True)}"
            f"all that it said: <code>{escape(self.way_to_log)}</code></div>"
        )


class HostStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A host at one instant.

    Attributes
    ----------
    name, endpoint : str
        The host's name and the endpoint at which it listens.
    pid : int
        Process id of the host server.
    platform, python, version : str
        Operating system, Python version, version of this package.
    cpu_count : int
        Logical cores.
    cpu_percent : float
        Load of the machine, percent of all cores.
    memory_total, memory_available : int
        Bytes.
    groups : tuple of GroupStatus
        The nodegroups that the asking manager has there.
    """

    name: str
    endpoint: str
    pid: int = 0
    platform: str = ""
    python: str = ""
    version: str = ""
    cpu_count: int = 0
    cpu_percent: float = 0.0
    memory_total: int = 0
    memory_available: int = 0
    groups: tuple[GroupStatus, ...] = ()


class ManagerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a manager looks after, at one instant.

    Attributes
    ----------
    time_ns : int
        When it was asked, ns since 1970 UTC by the manager's clock.
    hosts : tuple of HostStatus
        The hosts in the order in which they were added, each with its nodegroups.
    local : tuple of GroupStatus
        The groups of nodes in the manager's own process, whose use of the machine is not measured.
    nodes : dict of str to tuple of NodeStatus
        The nodes of each nodegroup, by the nodegroup's name.
    clocks : dict of str to tuple of int
        By host name: its clock minus the manager's and the uncertainty of that, ns.
    unreachable : dict of str to str
        By host name: why it does not answer. Its `HostStatus` is then the last one known.
    """

    time_ns: int = 0
    hosts: tuple[HostStatus, ...] = ()
    local: tuple[GroupStatus, ...] = ()
    nodes: dict[str, tuple[NodeStatus, ...]] = {}
    clocks: dict[str, tuple[int, int]] = {}
    unreachable: dict[str, str] = {}
