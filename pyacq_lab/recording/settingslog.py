"""Settings of nodes as they changed while a run was recorded: a table of JSON lines, ``settings.jsonl``."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.model.rig import settings_text
from pyacq_lab.recording.files import read_lines
from pyacq_lab.recording.manifest import SETTINGS


class SettingsLine(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a node from an instant on.

    Attributes
    ----------
    time_ns : int
        When the recorder was told, a moment after the change: ns since 1970 UTC by its host's clock.
    node : str
        Name of the node in the rig.
    settings : dict
        All its settings, as ``configure`` takes them.
    """

    time_ns: int
    node: str
    settings: dict[str, Any]


class Changes(tuple[SettingsLine, ...]):
    """Settings in the order of time, beginning with those at the run's start; shows itself as a table."""

    def of(self, node: str) -> Changes:
        """Those of one node."""
        return Changes(line for line in self if line.node == node)

    def __repr__(self) -> str:
        return "\n".join("  ".join(row) for row in self._rows()) or "no settings"

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        return f"<table><tr><th>time (UTC)</th><th>node</th><th>what changed</th></tr>{rows}</table>"

    def _rows(self) -> list[tuple[str, str, str]]:
        """Of each its time, node, and those settings that are others than before."""
        rows: list[tuple[str, str, str]] = []
        known: dict[str, dict[str, Any]] = {}
        for line in self:
            before = known.get(line.node, {})
            news = {k: v for k, v in line.settings.items() if k not in before or before[k] != v}
            known[line.node] = line.settings
            when = datetime.fromtimestamp(line.time_ns / 1e9, UTC)
            rows.append((f"{when:%Y-%m-%d %H:%M:%S}", line.node, settings_text(news)))
        return rows


def read_changes(folder: Path) -> Changes:
    """Settings of a run's nodes over time. Raises RecordingError where the table is damaged."""
    return Changes(read_lines(folder / SETTINGS, SettingsLine))
