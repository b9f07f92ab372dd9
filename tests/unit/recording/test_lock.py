"""One writer at a time, and asking who it is disturbs nobody."""

from __future__ import annotations

import threading

import filelock
import pytest

from pyacq_lab.errors import RecordingError
from pyacq_lab.recording import lock as lock_module
from pyacq_lab.recording.lock import is_locked, lock_run
from pyacq_lab.recording.manifest import LOCK


def test_a_folder_is_locked_while_somebody_writes(tmp_path):
    assert not is_locked(tmp_path)
    lock = lock_run(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(RecordingError, match="is being recorded into"):
        lock_run(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)


def test_a_recorder_waits_for_one_who_only_asks(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_module, "PATIENCE", 20.0)
    asking = filelock.FileLock(tmp_path / LOCK, thread_local=False)
    asking.acquire()
    timer = threading.Timer(0.05, asking.release)
    timer.start()
    lock_run(tmp_path).release()
    timer.join()


def test_an_archive_that_cannot_be_written_is_nobodys(tmp_path):
    (tmp_path / LOCK).mkdir()  # as good as a file that must not be opened, also for root
    assert not is_locked(tmp_path)
    with pytest.raises(RecordingError, match="cannot be written into"):
        lock_run(tmp_path)
