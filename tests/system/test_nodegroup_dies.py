"""A nodegroup that dies is known at once, with its last words, and can be started again."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from pyacq_lab.errors import LifecycleError, ProcessDied, PyacqError


def run_to_its_death(group, code: str) -> None:
    """Run what ends the process; the answer never comes."""
    with contextlib.suppress(PyacqError):
        group.run(code)


DEATHS = {
    "SIGKILL": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "out of memory"),
    "SIGSEGV": ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
    "SIGABRT": ("import os; os.abort()", "killed by SIGABRT"),
    "os._exit": ("import os; os._exit(3)", "exit code 3"),
    "quit": ("quit()", "ended by itself"),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_is_told_with_its_last_words(manager, until, death) -> None:
    code, words = DEATHS[death]
    group = manager.default_host.create_nodegroup("daq")
    group.run("print('it was printed'); import os; os.write(2, b'it was written\\n')")
    run_to_its_death(group, code)
    until(lambda: not group.alive, 2)
    assert words in group.ending
    with pytest.raises(ProcessDied, match=r"local/daq has ended"):
        group.list_nodes()
    found = group.post_mortem
    assert words in found.description
    assert not found.expected
    assert (found.signal or found.exit_code) == {"os._exit": 3, "quit": 0}.get(death, death)
    assert "it was written" in found.output
    until(lambda: "it was printed" in group.post_mortem.output)
    assert "it was printed" in str(group.post_mortem)
    if death in ("SIGSEGV", "SIGABRT"):
        assert any("Current thread" in line for line in found.output)  # faulthandler's dump
    until(lambda: group.logs(level="CRITICAL", contains=words))
    assert {record.source for record in group.logs()} == {"local/daq"}
    assert group.host.post_mortem("daq") == group._post_mortem  # the host still has it
    assert [(s.name, s.state) for s in group.host.list_nodegroups()] == [("daq", "died")]
    assert any("it was written" in r.message for r in group.host.kept_logs())


def test_a_killed_nodegroup_is_known_within_a_second(manager, until) -> None:
    group = manager.default_nodegroup
    killed = time.monotonic()
    os.kill(group.pid, signal.SIGKILL)
    until(lambda: not group.alive, 2)
    assert time.monotonic() - killed < 1
    assert manager.default_nodegroup is not group


def test_system_exit_and_no_memory_end_a_cell_and_nothing_else(manager) -> None:
    group = manager.default_nodegroup
    assert group.run("raise SystemExit(4)").error[0] == "SystemExit"
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)); bytes(2**34)"
    assert group.run(limited).error[0] == "MemoryError"
    assert group.run("1").ok
    assert group.post_mortem is None


def test_an_ended_nodegroup_has_a_post_mortem_too(manager, until) -> None:
    group = manager.default_host.create_nodegroup("daq")
    group.close()
    until(lambda: group.post_mortem)
    assert group.post_mortem.expected
    assert "as asked" in group.ending
    group.close()


def test_a_nodegroup_starts_again_as_it_was(manager, until, tmp_path) -> None:
    group = manager.default_host.create_nodegroup(
        "daq", cwd=str(tmp_path), env={"RIG": "7"}, python=sys.executable
    )
    node = group.create_node("SignalGenerator")
    before = group.pid
    os.kill(before, signal.SIGKILL)
    until(lambda: not group.alive, 2)
    group.restart(nodes=False)
    assert group.alive
    assert group.pid != before
    assert group.post_mortem is None
    assert group.run(f"import os; assert (os.getcwd(), os.environ['RIG']) == ({str(tmp_path)!r}, '7')").ok
    assert group.list_nodes() == []
    until(lambda: manager.logs(level="WARNING", contains=f"{node.name} anew"))
    with pytest.raises(ProcessDied, match="has ended"):
        node.start()
    group.run("print('the new one is heard')")
    until(lambda: manager.logs(source="local/daq", contains="the new one is heard"))
    group.create_node("SignalGenerator")
    group.restart()  # while it runs
    assert group.run("1").ok
    assert manager.get_nodegroup("daq") is group


def test_the_name_of_a_dead_nodegroup_is_free(manager, until) -> None:
    first = manager.default_host.create_nodegroup("daq")
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not first.alive, 2)
    assert manager.default_host.create_nodegroup("daq").pid != first.pid


def test_a_signal_reaches_the_process_alone(manager, until) -> None:
    group = manager.default_nodegroup
    code = "import signal; heard = []; signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))"
    assert group.run(code).ok
    group.signal(signal.SIGUSR1)
    until(lambda: group.run("assert heard").ok)
    group.signal(signal.SIGKILL)
    until(lambda: not group.alive, 2)
    with pytest.raises(LifecycleError, match="killed by SIGKILL"):
        group.signal(signal.SIGUSR1)


def test_a_new_handle_attaches_to_a_running_nodegroup(manager) -> None:
    group = manager.default_nodegroup
    group.run("mark = 1")
    assert group.host.attach_nodegroup(group.name) is group
    group.host.forget(group)
    again = group.host.attach_nodegroup(group.name)
    assert again.pid == group.pid
    assert again.run("mark").ok
    with pytest.raises(LifecycleError, match="somebody else"):
        again.restart()


def test_a_nodegroup_that_dies_while_it_starts_says_why(manager) -> None:
    with pytest.raises(ProcessDied, match="daq"):
        manager.default_host.create_nodegroup("daq", env={"PYTHONHOME": "/nonexistent"})
    assert manager.default_host.create_nodegroup("daq").alive


def test_what_happens_while_the_connection_is_cut_is_told_afterwards(manager, until) -> None:
    host = manager.default_host
    groups = [host.create_nodegroup() for _ in range(3)]
    told = []
    on_event, host.client._on_event = host.client._on_event, told.append  # hears, and takes no note
    os.kill(groups[0].pid, signal.SIGKILL)
    # The last of the three things that a host says of a death: what is heard later must not hide the others.
    until(lambda: any(e.topic == "group_state" and e.value.state == "died" for e in told))
    assert any(e.topic == "post_mortem" for e in told)
    host.client._on_event = on_event
    assert groups[0].alive
    host.client.request(host._hello(), 5.0).result(5)  # as after a lost connection
    until(lambda: not groups[0].alive, 5)
    assert groups[0].post_mortem.signal == "SIGKILL"
    assert all(g.alive for g in groups[1:])
    assert manager.logs(contains="no longer keeps") == []


STRAY = """
import subprocess, sys
stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(999)"], start_new_session=True)
print(stray.pid)
"""


@pytest.mark.parametrize("how", ["killed", "closed"])
def test_a_child_that_left_the_session_ends_with_its_nodegroup(manager, until, how) -> None:
    group = manager.create_nodegroup("stray")
    pid = int("".join(o["text"] for o in group.run(STRAY).outputs))
    if how == "killed":
        os.kill(group.pid, signal.SIGKILL)
    else:
        group.close()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 5)


def test_a_time_zone_of_its_own_counts(manager) -> None:
    group = manager.default_host.create_nodegroup("tokyo", env={"TZ": "JST-9"}, cwd=Path("/"))
    said = group.run("import os, time; print(time.tzname[0], os.getcwd())").outputs
    assert said[0]["text"] == "JST /\n"
