"""Logs on disk: private, bounded, and a manager that works without them."""

import logging
import os
import shutil
import stat
import subprocess

import psutil
import pytest

from pyacq_lab.manager.logfile import LogFile, read_log_file
from pyacq_lab.manager.logfolder import open_log_store, remove_old_logs
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord


def records(n, size=10):
    return [LogRecord(time_ns=i, message=f"{i} ".ljust(size, "x")) for i in range(n)]


def test_each_manager_has_a_folder_that_nobody_else_can_read(tmp_path):
    stores = [open_log_store(tmp_path / "pyacq_lab" / "logs" / "lab") for _ in range(2)]
    stores[0].append(records(3))
    for store in stores:
        store.close()
        assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(store.folder.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE((store.folder / "log.jsonl").stat().st_mode) == 0o600

    assert stores[0].folder != stores[1].folder
    assert read_log_file(stores[0].folder / "log.jsonl") == records(3)


def test_old_folders_are_removed_and_those_in_use_are_not(tmp_path):
    born = int(psutil.Process().create_time())
    gone = [tmp_path / f"20240101-00000{i}-{2**22 + i}-{born}" for i in range(6)]
    mine = tmp_path / f"20200101-000000-{os.getpid()}-{born}"
    other = tmp_path / "notes"
    for folder in (*gone, mine, other):
        folder.mkdir()
        (folder / "log.jsonl").write_bytes(bytes(100))
    assert remove_old_logs(tmp_path, runs=4, size=10_000) == [gone[1], gone[0]]
    assert remove_old_logs(tmp_path, runs=4, size=250) == [gone[3], gone[2]]

    assert sorted(tmp_path.iterdir()) == sorted([gone[4], gone[5], mine, other])


def test_a_folder_that_cannot_be_made_leaves_a_store_in_memory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = open_log_store(tmp_path / "file" / "logs")
    store.append(records(2))

    assert store.read(0) == records(2)
    assert store.folder is None
    assert str(tmp_path / "file") in store.disk_error
    assert "make it a folder that can be written" in store.disk_error


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for 100 kB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root, to mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", place], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_told_once_and_gets_everything_when_it_has_room_again(small_disk):
    path = small_disk / "log.jsonl"
    (small_disk / "other").write_bytes(bytes(60_000))
    store = LogStore(LogFile(path), retry_s=0)
    told = []
    store.report = lambda message, *, level: told.append((level, message))
    said = records(200, size=100)
    for i in range(0, len(said), 20):
        store.append(said[i : i + 20])
    assert store.read(0) == said
    ((level, message),) = told
    assert level == logging.ERROR
    assert "No space left" in message
    assert "No space left" in store.disk_error
    on_disk = read_log_file(path)
    assert 0 < len(on_disk) < len(said)
    assert on_disk == said[: len(on_disk)]
    assert path.read_bytes().endswith(b"\n")

    (small_disk / "other").unlink()
    last = LogRecord(time_ns=9, message="there is room")
    store.append([last])
    store.close()
    assert store.disk_error == ""
    assert "go to disk again" in told[1][1]
    assert "none is missing" in told[1][1]
    assert read_log_file(path) == [*said, last]
