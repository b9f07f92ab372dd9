"""Only one process at a time writes into a run folder."""

from __future__ import annotations

from pathlib import Path

import filelock

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.manifest import LOCK


def lock_run(folder: Path) -> filelock.BaseFileLock:
    """Lock a run folder for writing; the system takes the lock off where the process dies.

    Raises
    ------
    RecordingError
        Another process, or another recorder in this one, is writing into it.
    """
    lock = filelock.FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise RecordingError(
            f"{folder} is being recorded into: stop that recorder first, or choose another folder"
        ) from None
    return lock


def is_locked(folder: Path) -> bool:
    """Whether somebody writes into a run folder just now."""
    if not (folder / LOCK).exists():
        return False
    try:
        lock_run(folder).release()
    except RecordingError:
        return True
    return False
