"""What all tests share: no test leaves a thread, a process or a shared-memory segment behind."""

from __future__ import annotations

import gc
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

# How long an example takes says more of the machine's load than of the code.
settings.register_profile("any load", deadline=None)
settings.load_profile("any load")

SHARED_MEMORY = Path("/dev/shm")
PATIENCE = 10.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser tests last: the browser's driver leaves an event loop running in this thread."""
    items.sort(key=lambda item: "browser" in item.path.parts)


def until(condition: Callable[[], object], timeout: float = PATIENCE) -> None:
    """Wait until a condition holds; fail where it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not true within {timeout:g} s: {condition}")
        time.sleep(0.01)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    """`until`, for tests that do not import this file."""
    return until


def _threads() -> set[threading.Thread]:
    # Not ours to end: the first three belong to libraries; a system's resolver of names cannot be hurried.
    foreign = ("pydevd", "asyncio_", "zarr_io", "resolving ")
    return {t for t in threading.enumerate() if not t.name.startswith(foreign)}


def _children() -> set[psutil.Process]:
    return {p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE}


def _segments() -> set[str]:
    return {p.name for p in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.is_dir() else set()


@pytest.fixture(scope="module", autouse=True)
def only_what_is_new_is_collected() -> None:
    """Keep what was imported so far out of the search for garbage after each test: that takes 0.1 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves something behind; what a session keeps is there before."""
    if "browser" in request.node.path.parts:
        yield  # a browser starts and ends processes as it likes; its fixtures end it as a whole
        return
    before = _threads(), _children(), _segments()
    yield
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while any(left := [_threads() - before[0], _children() - before[1], _segments() - before[2]]):
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: threads, processes, shared memory: {left}")
        time.sleep(0.01)


@pytest.fixture
def jupyter_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty Jupyter folders, so that no test meets or changes a user's keys."""
    for name in ("DATA", "CONFIG", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / f"jupyter-{name.lower()}"))
    return tmp_path / "jupyter-data"


@pytest.fixture(scope="session")
def lsl_loopback() -> None:
    """Keep LSL on this machine and apart from other sessions of tests, and let it measure clocks quickly."""
    import pylsl

    pylsl.set_config_content(
        "[ports]\nIPv6 = disable\n[multicast]\nResolveScope = machine\n"
        f"[tuning]\nTimeProbeInterval = 0.005\n[lab]\nSessionID = {uuid.uuid4().hex}\n"
    )
