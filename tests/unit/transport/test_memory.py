"""Memory that processes share, of which nothing is left."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from pyacq_lab.errors import ProtocolError
from pyacq_lab.transport import memory as module
from pyacq_lab.transport.memory import SharedMemory, map_memory

SIZE = 3 * 4096


@pytest.fixture(params=[True, False], ids=["anonymous", "a file"])
def shared(request, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = SharedMemory(SIZE, anonymous=request.param)
    yield made
    made.close()


def test_what_one_writes_the_other_reads(shared) -> None:
    shared.memory[5000:5003] = b"abc"
    mapped = map_memory(shared.path, SIZE, writable=True)
    assert mapped[5000:5003] == b"abc"
    mapped[0:1] = b"x"
    assert shared.memory[0:1] == b"x"
    with pytest.raises(TypeError, match="modify"):
        map_memory(shared.path, SIZE, writable=False)[0:1] = b"y"


def test_it_stays_valid_for_who_has_it_and_for_nobody_else_once_it_is_closed(shared) -> None:
    mapped = map_memory(shared.path, SIZE, writable=True)
    shared.close()
    shared.close()
    mapped[0:1] = b"x"
    with pytest.raises(OSError, match="No such file"):
        map_memory(shared.path, SIZE, writable=True)


def test_memory_that_is_too_small_is_refused(shared) -> None:
    with pytest.raises(ProtocolError, match=f"holds {SIZE} bytes; wanted {SIZE + 1}"):
        map_memory(shared.path, SIZE + 1, writable=True)


@pytest.mark.parametrize(
    "path", ["/dev/zero", "/proc/self/mem", "/proc/1/fd/../environ", "ring-1-1-aa", "/etc/passwd"]
)
def test_other_files_are_not_opened(path: str) -> None:
    with pytest.raises(ProtocolError, match="it is none"):
        map_memory(path, 1, writable=False)


def test_files_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = SharedMemory(SIZE, anonymous=False)
    folder = Path(kept.path).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(kept.path).stat().st_mode) == 0o600
    dead = folder / f"ring-{os.getpid()}-1-00ff"  # this number, but born long ago
    stranger = folder / "notes.txt"
    dead.touch()
    stranger.touch()
    SharedMemory(SIZE, anonymous=False).close()
    assert sorted(folder.iterdir()) == sorted([Path(kept.path), stranger])
    kept.close()


def test_a_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"pyacq_lab-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="somebody else"):
        SharedMemory(SIZE, anonymous=False)
    assert not list(elsewhere.iterdir())


def test_another_container_is_another_machine(monkeypatch) -> None:
    module.machine.cache_clear()
    here = module.machine()
    assert here
    monkeypatch.setattr(os, "readlink", lambda path: f"{path}:[1]")
    module.machine.cache_clear()
    assert module.machine() != here
    module.machine.cache_clear()
