"""The pages of the documentation, and a host server as a program of its own, as on another machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a ``page``, or for one ``page_with_python``, once for each."""
    with_python = [page for page in PAGES if "```python" in page.read_text()]
    for name, found in (("page", PAGES), ("page_with_python", with_python)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, found, ids=[str(page.relative_to(ROOT)) for page in found])


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    return PAGES


@dataclass
class HostProgram:
    """A running ``pyacq-lab host`` and what it printed."""

    process: subprocess.Popen[str]
    endpoint: str
    key: str

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        """Ask it to end and wait until it has."""
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture(scope="session")
def start_host() -> Callable[..., HostProgram]:
    """``start_host("--name", "bench")`` starts one; whoever starts it ends it."""

    def start(*options: str) -> HostProgram:
        command = [sys.executable, "-m", "pyacq_lab.host", "tcp://127.0.0.1:0", *options]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline() if process.stdout is not None else ""
        endpoint, key = re.findall(r'"([^"]+)"', line)
        return HostProgram(process, endpoint, key)

    return start


@pytest.fixture
def host_program(jupyter_home: Path, start_host: Callable[..., HostProgram]) -> Iterator[HostProgram]:
    program = start_host("--name", "bench")
    yield program
    program.end()
