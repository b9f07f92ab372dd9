"""Only one process at a time writes into a run folder."""

from __future__ import annotations

from pathlib import Path

import filelock

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.manifest import LOCK

PATIENCE = 0.5
"""Seconds to wait for a lock: who asks whether a folder `is_locked` has it for an instant."""


def lock_run(folder: Path) -> filelock.BaseFileLock:
    """Lock a run folder for writing; the system takes the lock off where the process dies.

    Raises
    ------
    RecordingError
        Another process, or another recorder in this one, is writing into it; or the folder cannot be written.
    """
    lock = filelock.FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=PATIENCE / 10)
    except filelock.Timeout:
        raise RecordingError(
            f"{folder} is being recorded into: stop that recorder first, or choose another folder"
        ) from None
    except OSError as error:
        raise RecordingError(f"{folder} cannot be written into: {error}") from error
    return lock


def is_locked(folder: Path) -> bool:
    """Whether somebody writes into a run folder just now; False where that cannot be known from here."""
    if not (folder / LOCK).exists():
        return False
    lock = filelock.FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    except OSError:  # an archive that nobody may write into
        return False
    lock.release()
    return False
