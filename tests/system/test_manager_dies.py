"""A notebook that dies takes what it started with it, and nothing else."""

from __future__ import annotations

import signal

import pytest
from programs import SPAWN_CHILDREN, all_gone, numbers, tree

NOTEBOOK = f"""
import sys
import pyacq_lab
manager = pyacq_lab.create_manager()
far = manager.add_host(sys.argv[1])
groups = [manager.create_nodegroup("near"), manager.create_nodegroup("far", host=far)]
for group in groups:
    said = []
    group.run({SPAWN_CHILDREN!r}, on_output=lambda output: said.append(output.get("text", "")))
    print(group.pid, *said, flush=True)
print("local", manager._local.pid, flush=True)
sys.stdin.readline()
"""


def started(script) -> list[int]:
    """Process ids of both nodegroups with their children, and of the local host."""
    said = [script.line() for _ in range(3)]
    return [pid for line in said for pid in numbers(line)]


def test_a_killed_notebook_leaves_nothing_behind_and_the_other_host_serves_the_next(
    start_host, start_script, make_manager, until
) -> None:
    host = start_host()
    script = start_script(NOTEBOOK, host.endpoint)
    pids = [*started(script), *tree(script.pid)]
    assert len(set(pids)) >= 7
    script.signal(signal.SIGKILL)
    until(lambda: all_gone(pids), 5)
    group = make_manager().add_host(host.endpoint).create_nodegroup("far")
    group.run("assert nodegroup.name == 'far'")
    assert "hung up" in host.errors()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_notebook_that_is_told_to_end_closes_everything(start_host, start_script, until, number) -> None:
    host = start_host()
    script = start_script(NOTEBOOK, host.endpoint)
    pids = [*started(script), *tree(script.pid)]
    script.signal(number)
    script.wait()
    until(lambda: all_gone(pids), 5)
    assert "hung up" not in host.errors()  # it said goodbye


def test_a_notebook_that_just_ends_closes_everything(start_host, start_script, until) -> None:
    host = start_host()
    script = start_script(NOTEBOOK, host.endpoint)
    pids = [*started(script), *tree(script.pid)]
    script.tell("")
    assert script.wait() == 0
    until(lambda: all_gone(pids), 5)
    assert "hung up" not in host.errors()


FORK = """
import os
import pyacq_lab
manager = pyacq_lab.create_manager()
group = manager.create_nodegroup("near")
pid = os.fork()
if pid == 0:
    try:
        manager.create_nodegroup("of the fork")
    except pyacq_lab.PyacqError as error:
        print("fork" in str(error), flush=True)
    raise SystemExit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
print(group.list_nodes(), flush=True)
"""


def test_a_fork_of_the_notebook_is_refused_ends_at_once_and_closes_nothing(start_script) -> None:
    script = start_script(FORK)
    assert [script.line().strip() for _ in range(3)] == ["True", "7", "[]"]
    script.wait()
