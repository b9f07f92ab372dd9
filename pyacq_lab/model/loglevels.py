"""Names and levels of loggers, as people and messages give them."""

from __future__ import annotations

import logging
from typing import Any

from pyacq_lab.errors import ConfigurationError

_LONGEST = 200


def check_logger_name(name: Any) -> str:
    """Return the name of a logger unchanged; empty is the root logger.

    Raises
    ------
    ConfigurationError
        It is no text of words separated by single dots.
    """
    parts = name.split(".") if isinstance(name, str) else [""]
    if name == "" or (all(parts) and len(name) <= _LONGEST and name.isprintable() and name == name.strip()):
        return name
    raise ConfigurationError(
        f"logger {name!r}: wanted its name, such as 'numpy' or 'pyacq_lab.node', "
        f"of at most {_LONGEST} characters, or '' for the root logger"
    )


def check_level(level: Any) -> int:
    """Number of a level given by number or name.

    Raises
    ------
    ConfigurationError
        It is neither.
    """
    if isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= 1000:
        return level
    names = logging.getLevelNamesMapping()
    if isinstance(level, str) and level.upper() in names:
        return names[level.upper()]
    raise ConfigurationError(f"level {level!r}: wanted a number from 0 to 1000 or one of {', '.join(names)}")
