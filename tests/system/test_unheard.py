"""What a host and its processes say while no manager listens is heard by the next one, once."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import netns
import pytest
from programs import all_gone

NOTEBOOK = """
import sys
import pyacq_lab
manager = pyacq_lab.create_manager()
group = manager.add_host(sys.argv[1]).create_nodegroup("daq")
print(group.pid, flush=True)
for line in sys.stdin:
    group.run(line)
    while not manager.logs(contains="turn 50"):
        manager.clock.sleep(0.01)
    print("done", flush=True)
"""

TALK = """
import logging, os, threading, time; \
threading.Thread(target=lambda: [(logging.getLogger("daq").info("turn %d", i), time.sleep(0.005)) \
for i in range(100_000)], daemon=True).start()
"""


def files(home: Path) -> list[Path]:
    return sorted((home / "pyacq_lab" / "unheard").rglob("*.batches"))


def turns(manager, source: str = "daq") -> list[int]:
    said = manager.log_server.query(source=source, contains="turn ", limit=None)
    return sorted(int(r.message.split()[1]) for r in said)


def kill_its_manager(script, until, pid: int) -> None:
    script.tell(TALK.strip())
    assert script.line() == "done"
    script.signal(signal.SIGKILL)
    until(lambda: all_gone([pid]), 10)


def test_the_next_manager_hears_what_the_killed_one_did_not(
    start_host, start_script, make_manager, jupyter_home, until
) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    script = start_script(NOTEBOOK, host.endpoint)
    pid = int(script.line())
    kill_its_manager(script, until, pid)
    until(lambda: files(jupyter_home))
    for file in files(jupyter_home):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    manager = make_manager()
    manager.add_host(host.endpoint)
    until(lambda: manager.logs(source="rig/host", contains="hung up without a goodbye"))
    until(lambda: turns(manager))
    until(lambda: not files(jupyter_home))
    said = [r for r in manager.logs(source="rig/daq", limit=None) if r.pid == pid]
    heard = turns(manager)
    # It went on to talk until its host ended it, two seconds after its manager was gone.
    assert len(heard) > 100
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    assert all(r.late for r in said)
    assert [r.message for r in said if r.lost] == []  # what the killed manager had heard is not lost
    # Why it ended stands under its own name, and under the host's with the names of all.
    (mine,) = manager.logs(source="rig/daq", contains="hung up without a goodbye")
    assert mine.message == "nodegroup daq ends, because its manager hung up without a goodbye"
    assert mine.level_name == "ERROR"
    (hosts,) = manager.logs(source="rig/host", contains="hung up without a goodbye")
    assert hosts.message.endswith("its nodegroups on this host end: daq")
    n = len(manager.logs(limit=None, source="rig"))
    manager.close()

    third = make_manager()
    third.add_host(host.endpoint).create_nodegroup("other").run("print('here')")
    until(lambda: third.logs(contains="here"))
    assert third.logs(source="rig/daq") == []
    assert n > 100


def test_words_of_another_managers_nodegroup_are_not_those_of_a_living_one_of_its_name(
    start_host, start_script, make_manager, until
) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    manager = make_manager()
    mine = manager.add_host(host.endpoint).create_nodegroup("daq")
    mine.run("print('my own word')")
    script = start_script(NOTEBOOK, host.endpoint)
    pid = int(script.line())
    kill_its_manager(script, until, pid)
    until(lambda: manager.logs(pid=pid, contains="turn "), 20)
    until(lambda: mine.logs(contains="my own word"))
    assert {r.pid for r in mine.logs()} == {mine.pid}
    assert mine.logs(pid=pid) == []
    assert {r.pid for r in manager.logs(source=mine)} == {mine.pid, pid}
    assert sum(r.lost for r in manager.logs()) == 0


def test_a_nodegroup_that_is_killed_while_nobody_listens_is_heard_to_its_last_word(
    start_host, start_script, make_manager, until
) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    script = start_script(NOTEBOOK, host.endpoint)
    pid = int(script.line())
    script.tell(TALK.strip())
    assert script.line() == "done"
    script.signal(signal.SIGSTOP)  # nobody reads, though the connection stays
    begun = time.monotonic()
    until(lambda: time.monotonic() > begun + 1)
    os.kill(pid, signal.SIGKILL)
    until(lambda: all_gone([pid]), 10)
    script.signal(signal.SIGKILL)
    manager = make_manager()
    manager.add_host(host.endpoint)  # before the host has given the other up
    until(lambda: manager.logs(source="rig/daq", contains="nodegroup daq died: killed by SIGKILL"), 20)
    (died,) = manager.logs(source="rig/daq", contains="nodegroup daq died")
    assert died.pid == pid
    assert died.channel == "host"
    heard = turns(manager)
    assert heard[-1] > 150
    assert heard == list(range(heard[0], heard[0] + len(heard)))


def test_a_host_that_is_started_again_tells_what_the_one_before_kept(
    start_host, start_script, make_manager, jupyter_home, until
) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    script = start_script(NOTEBOOK, host.endpoint)
    kill_its_manager(script, until, int(script.line()))
    until(lambda: files(jupyter_home))
    host.signal(signal.SIGKILL)
    host.wait()

    again = start_host("tcp://127.0.0.1:0", "--name", "rig")
    manager = make_manager()
    manager.add_host(again.endpoint)
    until(lambda: turns(manager))
    until(lambda: not files(jupyter_home))
    heard = turns(manager)
    assert heard == list(range(heard[0], heard[0] + len(heard)))


def test_where_nothing_can_be_kept_the_host_goes_on_and_counts(
    start_host, start_script, make_manager, jupyter_home, until
) -> None:
    (jupyter_home / "pyacq_lab").mkdir(parents=True)
    (jupyter_home / "pyacq_lab" / "unheard").write_text("no folder")
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    script = start_script(NOTEBOOK, host.endpoint)
    kill_its_manager(script, until, int(script.line()))
    manager = make_manager()
    group = manager.add_host(host.endpoint).create_nodegroup("next")
    group.run("print('goes on')")
    until(lambda: manager.logs(contains="goes on"))
    until(lambda: [r for r in manager.logs(source="rig/daq") if r.message.endswith("records lost here")])
    lost = max((r for r in manager.logs(source="rig/daq") if r.lost), key=lambda r: r.lost)
    assert lost.lost > 100
    assert "cannot be kept in" in host.errors()


def test_after_a_goodbye_nothing_is_told_to_the_next(start_host, make_manager, jupyter_home, until) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    manager = make_manager()
    manager.add_host(host.endpoint).create_nodegroup("daq").run("import os; os.write(1, b'written\\n')")
    until(lambda: manager.logs(contains="written"))
    manager.close()
    assert files(jupyter_home) == []


@pytest.mark.skipif(bool(netns.why_not()), reason=netns.why_not())
@pytest.mark.timeout(120)
def test_a_link_that_is_cut_for_longer_than_memory_lasts_costs_nothing(
    stack, start_host, start_script, until
) -> None:
    lab = stack.enter_context(netns.Lab("a", "notebook"))
    host = start_host(f"tcp://{lab.address('a')}:8000", "--name", "a", prefix=lab.prefix("a"))
    code = """
import json, sys
from pyacq_lab.manager.manager import Manager
from pyacq_lab.manager.logstore import LogStore
manager = Manager(store=LogStore(capacity=1_000_000))
host = manager.add_host(sys.argv[1], sys.argv[2])
group = host.create_nodegroup("daq")
group.run(sys.argv[3])
print(group.pid, flush=True)
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""
    # It waits for the file, and then says some 12 MB; its spool has 8.
    go = Path(host._errors).with_name("go")
    said = go.with_name("said")
    talk = f"""
import logging, os, threading, time
def work():
    log = logging.getLogger("talk")
    while not os.path.exists({str(go)!r}):
        time.sleep(0.01)
    for i in range(60_000):
        log.info("turn %d %s", i, "x" * 140)
        if i % 100 == 0:
            time.sleep(0.005)
    open({str(said)!r}, "w").close()
threading.Thread(target=work, daemon=True).start()
"""
    notebook = start_script(code, host.endpoint, host.invitation, talk, prefix=lab.prefix("notebook"))
    notebook.line()

    def ask(question: str) -> str:
        notebook.tell(question)
        return notebook.line()

    lab.unplug("a")
    until(lambda: ask("host.client.connected") == "false")
    go.touch()
    until(said.exists, 30)
    lab.plug("a")
    last = 'len(manager.log_server.query(contains="turn 59999"))'
    until(lambda: ask(last) == "1", 40)
    numbers = '[int(r.message.split()[1]) for r in manager.log_server.query(limit=None, contains="turn ")]'
    until(lambda: ask(f"{numbers} == list(range(60_000))") == "true", 10)
    assert ask("[r.message for r in manager.logs(limit=None) if r.lost]") == "[]"
