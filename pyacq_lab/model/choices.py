"""Words of which only some are known."""

from __future__ import annotations

from typing import Any, get_args

from pyacq_lab.errors import ConfigurationError


def check_choice(field: str, value: object, known: Any, whose: str = "") -> None:
    """Refuse a word that is none of a ``Literal`` type's.

    Raises
    ------
    ConfigurationError
        ``value`` is not known; names the ``field``, and ``whose`` it is, if given.
    """
    if value not in get_args(known):
        of = f" of {whose}" if whose else ""
        words = ", ".join(map(repr, get_args(known)))
        raise ConfigurationError(f"{field}={value!r}{of}: wanted one of {words}")
