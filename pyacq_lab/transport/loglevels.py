"""Levels of this process's loggers, set from elsewhere."""

from __future__ import annotations

import logging

from pyacq_lab.model.loglevels import check_level, check_logger_name


def set_log_level(logger: str, level: int) -> int:
    """Set the level of a logger; returns the one that it had before. Safe from any thread.

    Raises
    ------
    ConfigurationError
        The name or the level is none.
    """
    found = logging.getLogger(check_logger_name(logger) or None)
    before = found.level
    found.setLevel(check_level(level))
    return before
