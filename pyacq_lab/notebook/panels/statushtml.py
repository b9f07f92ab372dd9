"""A manager's status as a static table that needs no widgets."""

from __future__ import annotations

from html import escape

from pyacq_lab.model.status import ManagerStatus, folded
from pyacq_lab.notebook.panels.statusrows import COLUMNS, StatusRow, status_rows, status_summary
from pyacq_lab.viewing.theme import THEME_CSS

_NUMBERS = {"PID", "CPU", "Memory", "Up"}


def manager_html(status: ManagerStatus) -> str:
    """Hosts, processes and nodes as a table with its own style sheet, for ``_repr_html_``."""
    head = "".join(f"<th{_class(name)}>{name}</th>" for name in COLUMNS)
    body = "".join(_row(row) for row in status_rows(status))
    return (
        f'<div class="pyacq"><style>{THEME_CSS}</style>'
        '<div class="pq-bar"><b>Manager</b> '
        f'<span class="pq-dim">{escape(status_summary(status))}</span></div>'
        f'<table class="pq-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def manager_text(status: ManagerStatus) -> str:
    """The same in one line, for ``__repr__``."""
    return f"<Manager: {status_summary(status)}>"


def _row(row: StatusRow) -> str:
    name, *rest = row.cells
    badge = f'<span class="pq-badge pq-{row.tone}">{escape(row.state)}</span>'
    error = folded("last error", row.error) if row.error else ""
    cells = "".join(
        f"<td{_class(column)}>{escape(cell)}{error if column == 'Notes' else ''}</td>"
        for column, cell in zip(COLUMNS[2:], rest, strict=True)
    )
    return f'<tr class="pq-depth{row.depth}"><td>{escape(name)}</td><td>{badge}</td>{cells}</tr>'


def _class(column: str) -> str:
    if column in _NUMBERS:
        return ' class="pq-number"'
    return ' class="pq-notes"' if column == "Notes" else ""
