"""Names of nodegroups and nodes."""

from __future__ import annotations

import re
from typing import Any

from pyacq_lab.errors import ConfigurationError

_NAME = re.compile(r"[^\s/:.][^/:.\n]{0,63}")


def check_name(name: Any, of: str) -> str:
    """Return a name unchanged.

    Raises
    ------
    ConfigurationError
        It is no text of 1 to 64 characters, or holds one of ``/ : .``, which separate the parts of a place.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"name of a {of}: {name!r} came; wanted text of 1 to 64 characters without / : or ."
        )
    return name
