"""A launcher of real processes, and a guard that nothing outlives a test."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyacq_lab.kernel.client import KernelClient
from pyacq_lab.kernel.endings import Ending
from pyacq_lab.kernel.launcher import Launcher, LaunchRequest
from pyacq_lab.kernel.process import KernelProcess

HERE = Path(__file__).parent


def wait_until(condition: Callable[[], Any], timeout: float = 20.0) -> None:
    """Wait for a condition; fail if it does not come."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{condition} did not come true within {timeout} s")
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether this process runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass
class Group:
    """A launched process and what its callbacks were called with."""

    folder: Path
    lines: list[tuple[str, str]] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    process: KernelProcess = None  # type: ignore[assignment]

    @property
    def pid(self) -> int:
        return self.process.pid

    def diary(self) -> list[str]:
        path = self.folder / f"{self.process.name}.diary"
        return path.read_text().splitlines() if path.exists() else []

    async def run(self, code: str, *, timeout: float = 20, **options: Any) -> Any:
        """Run code in a client of its own, in a thread."""

        def work() -> Any:
            client = KernelClient(self.process.connection_info())
            try:
                return client.run(code, timeout=timeout, **options)
            finally:
                client.close()

        return await asyncio.to_thread(work)


@dataclass
class Lab:
    """A launcher whose processes run the tiny program."""

    launcher: Launcher
    folder: Path

    alive = staticmethod(alive)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition; fail if it does not come."""
        await asyncio.to_thread(wait_until, condition)

    async def launch(
        self, name: str = "group", *, env: dict[str, str] | None = None, **bootstrap: Any
    ) -> Group:
        group = Group(self.folder)
        bootstrap["diary"] = str(self.folder / f"{name}.diary")
        group.process = await self.launcher.launch(
            LaunchRequest(name, bootstrap, env=env or {}),
            on_output=lambda stream, line: group.lines.append((stream, line)),
            on_exit=group.endings.append,
        )
        return group


Scenario = Callable[[Lab], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    """Fail a test that leaves a process, a thread or a file descriptor behind."""

    def descriptors() -> set[str]:
        found = set()
        for fd in os.listdir("/proc/self/fd"):
            try:
                found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
            except OSError:
                continue  # the listing's own
        return found

    threads, fds = set(threading.enumerate()), descriptors()
    yield
    left = [p.cmdline() for p in psutil.Process().children(recursive=True)]
    assert not left
    wait_until(lambda: not [t for t in threading.enumerate() if t not in threads])
    assert descriptors() <= fds


@pytest.fixture(autouse=True)
def tiny_program_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


@asynccontextmanager
async def lab(folder: Path, **options: Any) -> AsyncIterator[Lab]:
    options = {"program": "tiny_program:main", "preload": ("tiny_program", "numpy"), **options}
    launcher = Launcher(folder / "run", **options)
    await launcher.start()
    try:
        yield Lab(launcher, folder)
    finally:
        await launcher.close()


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def in_lab(tmp_path: Path) -> Callable[..., None]:
    """``in_lab(scenario)`` runs a coroutine function with a laboratory, whose launcher it closes after."""

    def run(scenario: Scenario, **options: Any) -> None:
        async def whole() -> None:
            async with lab(tmp_path, **options) as here:
                await asyncio.wait_for(scenario(here), 60)

        asyncio.run(whole())

    return run
