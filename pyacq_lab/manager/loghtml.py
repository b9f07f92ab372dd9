"""Log records as a static table that needs no widgets."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.logtext import bounded, format_origin, format_time, label, shown
from pyacq_lab.viewing.theme import THEME_CSS, record_tone

# Characters, for each of some fifty records in a saved notebook.
_MAX_MESSAGE = 1000
_MAX_TRACEBACK = 8000


def log_html(records: Sequence[LogRecord], note: str = "") -> str:
    """Table of records with their own style sheet; tracebacks fold out; a note stands above them."""
    if not records:
        body = '<tr><td class="pq-notes" colspan="4">no records</td></tr>'
    else:
        body = "".join(_row(record) for record in records)
    if note:
        body = f'<tr><td class="pq-notes" colspan="4">{escape(note)}</td></tr>{body}'
    head = "".join(f"<th>{name}</th>" for name in ("Local time", "Level", "From", "Message"))
    return (
        f'<div class="pyacq"><style>{THEME_CSS}</style>'
        f'<table class="pq-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(record: LogRecord) -> str:
    logger = f'<span class="pq-dim">{escape(shown(record.logger))}: </span>' if record.logger else ""
    text = escape(shown(bounded(record.message, _MAX_MESSAGE)))
    message = f'{logger}<span style="white-space:pre-wrap;overflow-wrap:anywhere">{text}</span>'
    if record.traceback:
        message = (
            f"<details><summary>{message}</summary>"
            f'<pre class="pq-text">{escape(shown(bounded(record.traceback, _MAX_TRACEBACK)))}</pre></details>'
        )
    late = ' <span class="pq-dim">(late)</span>' if record.late else ""
    return (
        f'<tr><td class="pq-number">{format_time(record)}</td>'
        f'<td><span class="pq-badge pq-{record_tone(record)}">{escape(label(record))}</span></td>'
        f"<td>{escape(format_origin(record))}{late}</td>"
        f'<td style="white-space:normal">{message}</td></tr>'
    )
