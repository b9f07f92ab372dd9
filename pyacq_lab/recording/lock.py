"""Only one process at a time records into a run folder, and only one at a time adds a note."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording.manifest import LOCK, NOTES_LOCK

PATIENCE = 0.5
"""Seconds to wait for a lock: who asks whether a folder `is_locked` has it for an instant."""

POLL = 0.005
"""Seconds between two tries."""

NOTES_PATIENCE = 30.0
"""Seconds to wait until others have written their notes: each waits for the disk once."""


def lock_run(folder: Path) -> filelock.BaseFileLock:
    """Lock a run folder for writing; the system takes the lock off where the process dies.

    Raises
    ------
    RecordingError
        Another process, or another recorder in this one, is writing into it; or the folder cannot be written.
    """
    lock = filelock.FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=POLL)
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


@contextmanager
def notes_locked(folder: Path) -> Iterator[None]:
    """Keep others from adding notes to a run, which any process may do, also while it is recorded.

    Raises
    ------
    RecordingError
        Somebody keeps it locked; or the folder cannot be written.
    """
    lock = filelock.FileLock(folder / NOTES_LOCK, thread_local=False)
    try:
        folder.stat()  # a lock would make a folder that vanished anew
        lock.acquire(timeout=NOTES_PATIENCE, poll_interval=POLL)
    except filelock.Timeout:
        raise RecordingError(
            f"notes of {folder} have been locked by another program for {NOTES_PATIENCE:g} s: try again"
        ) from None
    except OSError as error:
        raise RecordingError(f"notes cannot be written to {folder}: {error}") from error
    try:
        yield
    finally:
        lock.release()
