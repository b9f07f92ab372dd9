"""The folder in which a running host keeps files with keys, and what killed hosts left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from pyacq_lab.transport.living import lives

log = logging.getLogger(__name__)

_NAME = re.compile(r"host-(?P<pid>\d+)-(?P<born>\d+)-[0-9a-f]+$")


class RuntimeFolder:
    """A folder of mode 0700 that exists while this process does.

    It lies in Jupyter's runtime folder, below this machine's name: a home may be shared by machines.
    Its name says whose it is, so that the next host can tell a leftover from a neighbour.

    Parameters
    ----------
    root : Path, optional
        Where; ``pyacq_lab/MACHINE`` in Jupyter's runtime folder unless given.

    Attributes
    ----------
    path : Path
        The folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or Path(jupyter_runtime_dir()) / "pyacq_lab" / (platform.node() or "machine")
        for folder in (self._root.parent, self._root):  # mkdir gives its mode to the last folder only
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        born = int(psutil.Process().create_time())
        self.path = self._root / f"host-{os.getpid()}-{born}-{secrets.token_hex(4)}"
        self.path.mkdir(mode=0o700)

    def sweep(self, on_leftover: Callable[[Path], None] | None = None) -> list[Path]:
        """Remove the folders of hosts that were killed; returns what was removed.

        Parameters
        ----------
        on_leftover : callable, optional
            Called with each such folder before it is removed: the place to release what its files name,
            such as shared memory.
        """
        removed: list[Path] = []
        for folder in self._root.iterdir():
            match = _NAME.match(folder.name)
            if match is None or lives(int(match["pid"]), int(match["born"])):
                continue
            log.info("sweeping %s, which a killed host left behind", folder)
            if on_leftover is not None:
                on_leftover(folder)
            shutil.rmtree(folder, ignore_errors=True)  # another host may be sweeping it, too
            removed.append(folder)
        return removed

    def remove(self) -> None:
        """Remove the folder with all that is in it; idempotent."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)
