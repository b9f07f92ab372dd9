"""A process tree is found with all that is in it, whichever way it is looked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from pyacq_lab.kernel.tree import ProcessTree

_FAMILY = """
import subprocess, sys, threading
def have_child():
    subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    print("born", flush=True)
    threading.Event().wait()
threading.Thread(target=have_child, daemon=True).start()
input()
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose child was started by a thread other than its first."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"born\n"
        yield parent
    finally:
        ProcessTree(parent.pid).kill()
        parent.communicate()


@pytest.mark.parametrize("quickly", [False, True])
def test_children_of_any_thread_are_members(family, quickly) -> None:
    found = ProcessTree(family.pid).members(quickly=quickly)
    children = psutil.Process(family.pid).children()
    assert len(children) == 1
    assert {p.pid for p in found} == {family.pid, children[0].pid}


def test_usage_is_of_all_members(family) -> None:
    usage = ProcessTree(family.pid).usage()
    assert usage.rss >= sum(p.memory_info().rss for p in psutil.Process(family.pid).children())
    assert usage.n_threads >= 3


def test_a_tree_that_is_gone_has_no_members(family) -> None:
    tree = ProcessTree(family.pid)
    child = psutil.Process(family.pid).children()[0]
    tree.kill()
    family.wait()
    psutil.wait_procs([child], timeout=20)
    assert tree.members() == tree.members(quickly=True) == []
