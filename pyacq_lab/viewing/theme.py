"""Colours that panels and static tables share, for light and dark notebooks."""

from __future__ import annotations

import logging
from pathlib import Path

from pyacq_lab.model.logs import LogRecord

THEME_CSS = Path(__file__).with_name("theme.css").read_text(encoding="utf-8")
"""Style sheet for everything inside an element of class ``pyacq``."""

_LEVEL_TONES = (
    (logging.CRITICAL, "worst"),
    (logging.ERROR, "bad"),
    (logging.WARNING, "warn"),
    (logging.INFO, "info"),
)

_STATE_TONES = {
    "up": "good",
    "running": "good",
    "starting": "info",
    "ready": "info",
    "configured": "info",
    "faulted": "bad",
    "died": "bad",
    "unreachable": "worst",
}


def record_tone(record: LogRecord) -> str:
    """Tone of a record's badge: ``worst``, ``bad``, ``warn``, ``info`` or ``quiet``."""
    if record.stream in ("stdout", "stderr"):
        return "quiet"
    return next((tone for level, tone in _LEVEL_TONES if record.level >= level), "quiet")


def state_tone(state: str) -> str:
    """Tone of the badge of a host's, process's or node's state."""
    return _STATE_TONES.get(state, "quiet")
