"""Where managers keep their logs on disk, and how many of them."""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import time
from pathlib import Path

import psutil
from jupyter_core.paths import jupyter_data_dir

from pyacq_lab.manager.logfile import LogFile
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.transport.living import lives

log = logging.getLogger(__name__)

KEPT_RUNS = 20
"""Folders of former managers that are kept, of each machine."""

KEPT_BYTES = 1_000_000_000
"""Bytes that they may hold together."""

_NAME = re.compile(r"\d{8}-\d{6}-(?P<pid>\d+)-(?P<born>\d+)(-\d+)?$")


def log_root() -> Path:
    """Folder in which each manager of this machine and user has one: a home may be shared by machines."""
    return Path(jupyter_data_dir()) / "pyacq_lab" / "logs" / (platform.node() or "machine")


def open_log_store(root: Path | None = None) -> LogStore:
    """Store that keeps all records on disk, in a new folder of mode 0700; old folders are removed.

    Where that cannot be made the store is one in memory only, and its ``disk_error`` says why.

    Parameters
    ----------
    root : Path, optional
        Where the folder is made; `log_root` unless given.
    """
    root = root or log_root()
    try:
        folder = _make_folder(root)
        file = LogFile(folder / "log.jsonl")
    except OSError as error:
        return LogStore(
            disk_error=f"{error.strerror or error}: {error.filename or root}: make it a folder that can be "
            "written, with room in it; the next manager begins to write there"
        )
    remove_old_logs(root)
    return LogStore(file)


def remove_old_logs(root: Path, runs: int = KEPT_RUNS, size: int = KEPT_BYTES) -> list[Path]:
    """Remove the oldest folders of managers that have ended; returns what was removed.

    Parameters
    ----------
    root : Path
        As in `open_log_store`.
    runs, size : int
        Folders and bytes that may stay.
    """
    removed: list[Path] = []
    for path in sorted(root.iterdir(), reverse=True):
        match = _NAME.match(path.name)
        if match is None or lives(int(match["pid"]), int(match["born"])):
            continue
        runs -= 1
        size -= _size_of(path)
        if runs < 0 or size < 0:
            shutil.rmtree(path, ignore_errors=True)  # another manager may be removing it, too
            removed.append(path)
    return removed


def _make_folder(root: Path) -> Path:
    for folder in (root.parent.parent, root.parent, root):  # mkdir gives its mode to the last folder only
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    born = int(psutil.Process().create_time())
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{born}"
    for number in range(1000):  # a process may have several managers, one after the other
        folder = root / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(17, "a thousand managers in one second", str(root / name))


def _size_of(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except OSError as error:
        log.debug("the size of %s is not known: %s", folder, error)
        return 0
