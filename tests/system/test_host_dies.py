"""A host that dies is noticed and named; what ran on it ends; everything else goes on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from programs import SPAWN_CHILDREN, all_gone, numbers, tree

from pyacq_lab.errors import LifecycleError, ProcessDied


def said_by(group, code: str) -> str:
    return "".join(o.get("text", "") for o in group.run(code).outputs)


def test_a_killed_host_is_named_and_its_processes_end_while_others_go_on(manager, start_host, until) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    doomed, other = manager.add_host(host.endpoint), manager.default_host
    group, survivor = doomed.create_nodegroup("there"), other.create_nodegroup("here")
    children = numbers(said_by(group, SPAWN_CHILDREN))
    assert len(children) == 2
    pids = [*tree(host.pid), *children]
    assert group.pid in pids
    host.signal(signal.SIGKILL)
    until(lambda: not doomed.client.connected, 1)
    begun = time.monotonic()
    with pytest.raises(ProcessDied, match="rig"):
        doomed.status()
    until(lambda: not group.client.connected, 5)
    with pytest.raises(ProcessDied, match="rig/there"):
        group.list_nodes()
    assert time.monotonic() - begun < 5
    assert "connection lost" in repr(doomed)
    until(lambda: not group.alive, 5)
    assert group.ending == "ended with its host rig, which is gone"
    found = group.post_mortem
    assert (found.pid, found.description, found.expected) == (group.pid, group.ending, False)
    until(lambda: group.logs(level="CRITICAL"))
    (record,) = group.logs(level="CRITICAL")
    assert record.message == "nodegroup there ended with its host rig, which is gone"
    until(lambda: manager.logs(level="ERROR", contains="connection to host rig at"))
    status = manager.status()
    assert "rig" in status.unreachable
    assert [h.name for h in status.hosts] == ["rig", "local"]
    until(lambda: all_gone(pids), 5)
    assert survivor.list_nodes() == []
    assert other.create_nodegroup("more").alive
    begun = time.monotonic()
    manager.close()
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_host_that_is_told_to_end_ends_cleanly(manager, start_host, until, jupyter_home, number) -> None:
    host = start_host()
    group = manager.add_host(host.endpoint).create_nodegroup("there")
    children = numbers(said_by(group, SPAWN_CHILDREN))
    pids = [*tree(host.pid), *children]
    host.signal(number)
    assert host.wait(10) == 0
    until(lambda: all_gone(pids), 5)
    assert not list((jupyter_home.parent / "jupyter-runtime").rglob("host-*"))
    assert "Traceback" not in host.errors()
    until(lambda: not group.alive)
    assert group.ending == "ended, because its host was told to end"
    assert not group.post_mortem.expected
    until(lambda: group.logs(level="ERROR"))
    (record,) = group.logs(level="ERROR")
    assert record.message == "nodegroup there ends, because its host was told to end"
    assert not manager.logs(contains="no longer")


def test_a_host_that_is_started_again_says_that_the_nodegroups_are_gone(manager, start_host, until) -> None:
    first = start_host("tcp://127.0.0.1:0", "--name", "rig")
    handle = manager.add_host(first.endpoint)
    group = handle.create_nodegroup("there")
    first.signal(signal.SIGKILL)
    first.wait()
    start_host(first.endpoint, "--name", "rig")
    until(lambda: not group.alive, 15)
    # Whichever is found out first.
    assert group.ending in (
        "ended, because host rig was started again",
        "ended with its host rig, which is gone",
    )
    until(lambda: handle.welcome.pid != first.pid, 15)
    assert handle.create_nodegroup("there").list_nodes() == []


def test_the_default_host_is_replaced_when_it_has_died(manager, until) -> None:
    first = manager.default_nodegroup
    manager._local.process.kill()
    until(lambda: not manager._local.alive)
    assert manager.default_host is not first.host
    assert manager.default_nodegroup.list_nodes() == []


def test_nodegroups_of_the_default_host_start_again_on_the_one_that_replaces_it(manager, until) -> None:
    first, second = manager.create_nodegroup("one"), manager.create_nodegroup("two")
    manager._local.process.kill()
    until(lambda: not manager._local.alive)
    first.restart()
    assert first.run("1").ok
    assert first.host is manager.default_host
    second.restart()  # its host has been replaced by now
    second.run("print('heard again')")
    until(lambda: second.logs(contains="heard again"))
    assert [g.name for g in manager.list_nodegroups()] == ["one", "two"]


def test_a_name_that_another_nodegroup_has_taken_is_not_taken_back(manager, until) -> None:
    group = manager.create_nodegroup("one")
    os.kill(group.pid, signal.SIGKILL)
    until(lambda: not group.alive)
    other = manager.create_nodegroup("one")
    with pytest.raises(LifecycleError, match=r"another nodegroup has the name 'one'"):
        group.restart()
    assert other.run("1").ok


def test_a_manager_that_was_silent_for_its_lease_hears_that_its_nodegroups_are_gone(
    start_host, start_script, until
) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    script = start_script(
        """
import sys
from pyacq_lab.manager.manager import Manager
manager = Manager(lease=1.0)
group = manager.add_host(sys.argv[1]).create_nodegroup("there")
manager.add_host(sys.argv[2]).create_nodegroup("there too")
print(group.pid, flush=True)
sys.stdin.readline()
while group.alive:
    manager.clock.sleep(0.01)
print(group.ending, flush=True)
try:
    group.list_nodes()
except Exception as error:
    print(type(error).__name__, flush=True)
print(group.host.create_nodegroup("again").list_nodes(), flush=True)
""",
        host.endpoint,
        start_host().endpoint,
    )
    pid = int(script.line())
    script.signal(signal.SIGSTOP)
    until(lambda: all_gone([pid]), 5)
    script.tell("")
    script.signal(signal.SIGCONT)
    assert "host rig gave this manager up, because it was silent" in script.line()
    assert script.line() == "ProcessDied"
    assert script.line() == "[]"
    script.wait()


def test_two_managers_use_one_host_without_seeing_each_other(make_manager, start_host) -> None:
    host = start_host()
    one, two = make_manager(), make_manager()
    groups = [m.add_host(host.endpoint).create_nodegroup("daq") for m in (one, two)]
    assert groups[0].pid != groups[1].pid
    for group in groups:
        group.run(f"mine = {group.pid}")
        assert [g.pid for g in group.host.list_nodegroups()] == [group.pid]
        assert [g.pid for g in group.host.status().groups] == [group.pid]
    one.close()
    groups[1].run(f"assert mine == {groups[1].pid}")


SHARE = """
import subprocess, sys
from multiprocessing import shared_memory
memory = shared_memory.SharedMemory(create=True, size=1000)
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(999)"], start_new_session=True)
print(memory.name)
"""


@pytest.mark.parametrize("how", ["the nodegroup is closed", "it is killed", "its host is killed"])
def test_shared_memory_does_not_outlive_a_nodegroup(manager, start_host, until, how) -> None:
    host = start_host()
    group = manager.add_host(host.endpoint).create_nodegroup("sharing")
    segment = Path("/dev/shm", said_by(group, SHARE).strip())
    assert segment.exists()
    if how == "the nodegroup is closed":
        group.close()
    else:
        os.kill(group.pid if how == "it is killed" else host.pid, signal.SIGKILL)
    until(lambda: not segment.exists(), 5)


def test_the_default_host_comes_back_after_it_was_disconnected(manager) -> None:
    first = manager.default_host
    group = manager.create_nodegroup("one")
    manager.disconnect_host(first)
    assert not group.alive
    assert manager.default_host is not first
    assert manager.create_nodegroup("two").list_nodes() == []
