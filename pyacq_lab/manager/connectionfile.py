"""Files by which other Jupyter clients find a nodegroup's kernel."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir


class ConnectionFile:
    """A Jupyter connection file of mode 0600 in Jupyter's runtime folder.

    Parameters
    ----------
    name : str
        Whose kernel it is; a part of the file's name.
    info : dict
        Connection information, keys included.

    Attributes
    ----------
    path : Path
        The file.
    """

    def __init__(self, name: str, info: dict[str, Any]) -> None:
        folder = Path(jupyter_runtime_dir())
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        plain = re.sub(r"[^\w-]+", "-", name)  # a nodegroup's name may hold what a file's must not
        self.path = folder / f"pyacq-{plain}-{secrets.token_hex(4)}.json"
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump(info, file, indent=2)

    def remove(self) -> None:
        """Remove it; idempotent."""
        self.path.unlink(missing_ok=True)
