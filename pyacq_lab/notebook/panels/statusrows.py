"""A manager's status as rows of text: what the static table and the live panel both draw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.logtext import shown
from pyacq_lab.model.status import GroupStatus, HostStatus, ManagerStatus, NodeStatus
from pyacq_lab.viewing.theme import state_tone

COLUMNS = ("Name", "State", "PID", "CPU", "Memory", "Up", "Notes")
"""Heads of the columns of a table of `StatusRow`."""


class StatusRow(NamedTuple):
    """One host, process or node.

    Attributes
    ----------
    key : str
        Path that names it for as long as it lives, as ``host/process/node``.
    depth : int
        0 for a host, 1 for a process, 2 for a node.
    state, tone : str
        Its state, and the tone of the state's badge.
    cells : tuple of str
        Name, process id, CPU, memory, uptime, notes: `COLUMNS` without the state.
    error : str
        Of a faulted node, the error with its traceback.
    """

    key: str
    depth: int
    state: str
    tone: str
    cells: tuple[str, str, str, str, str, str]
    error: str = ""


def status_rows(status: ManagerStatus) -> list[StatusRow]:
    """Rows of all hosts, each followed by its processes, each followed by its nodes; then what is local."""
    rows: list[StatusRow] = []
    for host in status.hosts:
        rows.append(_host_row(host, status))
        for group in host.groups:
            offset, _ = status.clocks.get(host.name, (0, 0))
            rows.append(_group_row(host, group, status.time_ns + offset))
            rows += _node_rows(f"{host.name}/{group.name}", group, status)
    for group in status.local:
        key = f"notebook/{group.name}"
        cells = (group.name, _pid(group.pid), "", "", "", "in the notebook's own process")
        rows.append(StatusRow(key, 0, "up", state_tone("up"), cells))
        rows += _node_rows(key, group, status)
    return rows


def status_summary(status: ManagerStatus) -> str:
    """The same in one line, trouble included."""
    groups = [group for host in status.hosts for group in host.groups]
    nodes = [node for group in (*groups, *status.local) for node in status.nodes.get(group.name, ())]
    parts = [_count(len(status.hosts), "host"), _count(len(groups), "process", "processes")]
    running = sum(node.state is State.RUNNING for node in nodes)
    parts.append(f"{_count(len(nodes), 'node')} ({running} running)" if nodes else "no nodes")
    trouble = {
        "unreachable": len(status.unreachable),
        "died": sum(group.state == "died" for group in groups),
        "faulted": sum(node.state is State.FAULTED for node in nodes),
    }
    return ", ".join([*parts, *(f"{n} {what}" for what, n in trouble.items() if n)])


def format_bytes(n: int) -> str:
    """Size with three digits or so, such as ``27.3 MB``."""
    size = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_duration(seconds: float) -> str:
    """Two units of time at most, such as ``3 h 12 min``."""
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def format_clock(offset_ns: int, uncertainty_ns: int) -> str:
    """Offset and uncertainty to a tenth of a millisecond, such as ``clock +3.2 ± 0.1 ms``.

    The uncertainty is rounded up; a digit more would change with every look.
    """
    within = f"± {math.ceil(uncertainty_ns / 1e5) / 10:.1f} ms"
    if abs(offset_ns) >= 10**9:
        return f"clock {offset_ns / 1e9:+.3f} s {within}"
    return f"clock {round(offset_ns / 1e6, 1) + 0.0:+.1f} {within}"  # + 0.0: no "-0.0"


def _host_row(host: HostStatus, status: ManagerStatus) -> StatusRow:
    why = status.unreachable.get(host.name)
    state = "up" if why is None else "unreachable"
    notes = [host.endpoint, host.platform, _count(host.cpu_count, "core") if host.cpu_count else ""]
    if host.name in status.clocks:
        notes.append(format_clock(*status.clocks[host.name]))
    if why is not None:
        notes = [why, *notes]
    used = host.memory_total - host.memory_available
    memory = f"{format_bytes(used)} of {format_bytes(host.memory_total)}" if host.memory_total else ""
    cells = (host.name, _pid(host.pid), f"{host.cpu_percent:.0f} %", memory, "", _joined(notes))
    return StatusRow(host.name, 0, state, state_tone(state), cells)


def _group_row(host: HostStatus, group: GroupStatus, now_ns: int) -> StatusRow:
    # now_ns is the host's time, as started_ns is.
    alive = group.state in ("starting", "running")
    up = format_duration((now_ns - group.started_ns) / 1e9) if alive and group.started_ns else ""
    cpu = f"{group.usage.cpu_percent:.0f} %" if alive else ""
    memory = format_bytes(group.usage.rss) if alive and group.usage.rss else ""
    cells = (group.name, _pid(group.pid), cpu, memory, up, group.ending)
    return StatusRow(f"{host.name}/{group.name}", 1, group.state, state_tone(group.state), cells)


def _node_rows(place: str, group: GroupStatus, status: ManagerStatus) -> list[StatusRow]:
    return [_node_row(place, node) for node in status.nodes.get(group.name, ())]


def _node_row(place: str, node: NodeStatus) -> StatusRow:
    notes = [node.type, node.reason, *_accounts(node)]
    cells = (node.name, "", "", "", "", _joined(notes))
    error = shown(node.last_error) if node.state is State.FAULTED else ""
    return StatusRow(f"{place}/{node.name}", 2, str(node.state), state_tone(node.state), cells, error)


def _accounts(node: NodeStatus) -> Iterator[str]:
    """What comes in, and samples that are lost: loss is counted, never hidden."""
    for port in node.outputs:
        if port.overruns:
            yield f"{port.name}: {port.overruns} samples overrun"
    for port in node.inputs:
        if port.ledger is not None and (words := str(port.ledger)):
            yield f"{port.name}: {words}"


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _pid(pid: int) -> str:
    return str(pid) if pid else ""


def _joined(parts: list[str]) -> str:
    return " · ".join(part for part in parts if part)
