"""Host servers and managers that end with the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that tests can import the helper modules

from programs import Host, Script

from pyacq_lab.manager.manager import Manager


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_host(jupyter_home: Path, tmp_path: Path, stack: ExitStack) -> Callable[..., Host]:
    """Start a host server as a program of its own: ``start_host(endpoint, *options)``."""

    def start(endpoint: str = "tcp://127.0.0.1:0", *options: str, **more: Any) -> Host:
        host = Host(tmp_path, endpoint, *options, **more)
        stack.callback(host.close)
        return host

    return start


@pytest.fixture
def start_script(jupyter_home: Path, tmp_path: Path, stack: ExitStack) -> Callable[..., Script]:
    """Start a script that acts as the notebook: ``start_script(code, *arguments)``."""

    def start(code: str, *arguments: str, **more: Any) -> Script:
        script = Script(code, tmp_path, *arguments, **more)
        stack.callback(script.close)
        return script

    return start


@pytest.fixture
def make_manager(jupyter_home: Path, stack: ExitStack) -> Callable[..., Manager]:
    """Make managers in this process; an application has one, a test may want to be two applications."""

    def make(**options: Any) -> Manager:
        manager = Manager(**options)
        stack.callback(manager.close)
        return manager

    return make


@pytest.fixture
def manager(make_manager: Callable[..., Manager]) -> Manager:
    return make_manager()
