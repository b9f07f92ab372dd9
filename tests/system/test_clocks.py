"""Hosts whose clocks are wrong: what was said first stands first in the log all the same."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import netns
import pytest
from programs import SHIFTED_HOST, Program

from pyacq_lab.model.clock import ClockOffset
from pyacq_lab.model.logs import LogRecord

S = 10**9

WHY_NOT = netns.why_not()

# Two nodegroups whose loggers are called in turns; each call returns when its record is made. What is closer
# together than the two clocks' uncertainties has no order that anybody could tell.
NOTEBOOK = """
import json, sys
from pyacq_lab import Sink
from pyacq_lab.manager.manager import Manager

class Talker(Sink):
    def open(self, inputs):
        pass
    def write(self, chunk, name):
        pass
    def gap(self, gap, name):
        pass
    def say(self, text):
        import logging
        logging.getLogger("talk").info(text)
    def jump(self, ns):
        "The clock of this process makes the jump of its machine."
        from pyacq_lab.transport.clock import SystemClock
        import time
        if not hasattr(SystemClock, "shift"):
            SystemClock.shift = 0
            SystemClock.now_ns = lambda clock: clock.anchor_ns + type(clock).shift + time.monotonic_ns()
        SystemClock.shift += ns

manager = Manager()
hosts = [manager.add_host(sys.argv[i], sys.argv[i + 1]) for i in (1, 3)]
groups = [host.create_nodegroup("on " + host.name) for host in hosts]
talkers = []
for group in groups:
    group.register_node_type(Talker)
    talkers.append(group.create_node("Talker"))
    talkers[-1].configure()

def talk(first, last):
    for i in range(first, last):
        talkers[i % 2].say(f"turn {i}")
        manager.clock.sleep(2e-9 * sum(h.clock.uncertainty_ns for h in hosts))

def heard():
    records = manager.logs(contains="turn ")
    return [[r.message, r.host, r.offset_ns, r.late] for r in records]

def warnings():
    return [r.message for r in manager.logs(level="WARNING", contains="has jumped")]

def clocks():
    return {h.name: [h.clock.offset_ns, h.clock.uncertainty_ns, h.clock.n_steps] for h in hosts}

print("started", flush=True)
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


class Lab:
    """Two hosts with wrong clocks, and a notebook on a third machine."""

    def __init__(self, shifts: dict[str, int], machines: netns.Lab, start_script: Any) -> None:
        self.hosts: dict[str, Program] = {}
        invitations: list[str] = []
        for name, shift in shifts.items():
            endpoint = f"tcp://{machines.address(name)}:8000"
            host = start_script(SHIFTED_HOST, endpoint, name, str(shift), prefix=machines.prefix(name))
            self.hosts[name] = host
            invitations += host.line().split()
        self.notebook = start_script(NOTEBOOK, *invitations, prefix=machines.prefix("notebook"))
        assert self.notebook.line() == "started"

    def ask(self, code: str) -> Any:
        self.notebook.tell(code)
        return json.loads(self.notebook.line())


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.timeout(90)
def test_what_two_hosts_with_wrong_clocks_say_in_turns_is_in_the_order_of_the_turns(
    stack, start_script, until
) -> None:
    shifts = {"a": 3600 * S, "b": -17 * S}
    machines = stack.enter_context(netns.Lab("a", "b", "notebook"))
    lab = Lab(shifts, machines, start_script)
    for name, (offset, uncertainty, n_steps) in lab.ask("clocks()").items():
        # The test's machines are one machine, and its clock may be corrected while it runs.
        assert abs(offset - shifts[name]) <= uncertainty + S // 10
        assert n_steps == 0

    lab.ask("talk(0, 200)")
    until(lambda: len(lab.ask("heard()")) == 200)
    assert in_order(lab.ask("heard()"), shifts) == [f"turn {i}" for i in range(200)]

    jump = 5 * S
    lab.hosts["b"].tell(str(jump))
    assert lab.hosts["b"].line() == "jumped"
    lab.ask(f"talkers[1].jump({jump})")
    until(lambda: lab.ask("clocks()")["b"][2] == 1, 20)
    shifts["b"] += jump
    until(lambda: lab.ask("warnings()"))
    (said,) = lab.ask("warnings()")
    assert said.startswith("the clock of host b has jumped ahead by ")

    lab.ask("talk(200, 400)")
    until(lambda: len(lab.ask("heard()")) == 400)
    after = lab.ask("heard()")[200:]
    assert in_order(after, shifts) == [f"turn {i}" for i in range(200, 400)]
    assert lab.ask("clocks()")["a"][2] == 0


def in_order(heard: list[list[Any]], shifts: dict[str, int]) -> list[str]:
    """Messages as they stand in the log, after a look at how they were corrected."""
    for message, host, offset, late in heard:
        assert not late, message
        assert abs(offset - shifts[host]) < S // 10, message
    return [message for message, *_ in heard]


def test_the_clock_of_a_host_is_known_when_it_is_added_and_better_later(start_host, manager, until) -> None:
    host = start_host()
    handle = manager.add_host(host.endpoint, host.invitation)
    first = handle.clock
    assert isinstance(first, ClockOffset)
    assert first.host == handle.name
    assert first.n_probes >= 1
    assert abs(first.offset_ns) < S
    assert first.drift_ppm is None
    assert manager.status().clocks[handle.name][1] > 0

    until(lambda: handle.clock.drift_ppm is not None, 30)
    # One machine has one oscillator.
    assert abs(handle.clock.drift_ppm) < 500
    assert handle.clock.n_steps == 0
    assert repr(handle.clock).startswith(f"<clock of {handle.name}: ")


def test_a_host_that_was_started_again_has_another_clock(start_script, manager, until) -> None:
    first = start_script(SHIFTED_HOST, "tcp://127.0.0.1:0", "rig", str(40 * S))
    endpoint, invitation = first.line().split()
    handle = manager.add_host(endpoint, invitation)
    assert abs(handle.clock.offset_ns - 40 * S) < S
    first.close()

    again = start_script(SHIFTED_HOST, endpoint, "rig", str(-40 * S))
    again.line()

    until(lambda: handle.clock.n_probes and handle.clock.offset_ns < 0, 20)
    assert abs(handle.clock.offset_ns + 40 * S) < S
    assert handle.clock.n_steps == 0
    assert not manager.logs(contains="has jumped")


def test_two_hosts_of_one_name_are_each_corrected_by_their_own_clock(start_script, manager, until) -> None:
    shifts = {"first": 50 * S, "second": -50 * S}
    for group, shift in shifts.items():
        host = start_script(SHIFTED_HOST, "tcp://127.0.0.1:0", "rig", str(shift))
        endpoint, invitation = host.line().split()
        manager.add_host(endpoint, invitation).create_nodegroup(group)
    assert [host.clock.host for host in manager.list_hosts()] == ["rig", "rig-2"]

    for i in range(10):
        for group in shifts:
            manager.get_nodegroup(group).run(f"import logging; logging.warning('turn {i}')")
            manager.clock.sleep(2e-9 * sum(host.clock.uncertainty_ns for host in manager.list_hosts()))

    def heard() -> list[LogRecord]:  # the kernel prints them to stderr as well
        return [r for r in manager.logs(contains="turn ") if r.stream == "log"]

    until(lambda: len(heard()) == 20)
    records = heard()
    assert [(r.message, r.process) for r in records] == [(f"turn {i}", g) for i in range(10) for g in shifts]
    assert all(abs(r.offset_ns - shifts[r.process]) < S and not r.late for r in records)

    # Records carry the name under which the manager knows their host, whoever sends them.
    os.kill(manager.get_nodegroup("second").pid, signal.SIGKILL)
    until(lambda: manager.logs(contains="nodegroup second died"))
    manager.get_nodegroup("first").run("import os; os.write(1, b'by descriptor\\n')")
    until(lambda: manager.logs(contains="by descriptor"))
    names = {"first": "rig", "second": "rig-2"}
    assert all(r.host == names[r.process] for r in manager.logs(limit=None) if r.process in names)
    assert {r.channel for r in manager.logs(source="rig-2/second", limit=None)} == {"process", "host"}
    assert [r.host for r in manager.get_host("rig-2").kept_logs()] == ["rig-2"]


def test_a_host_that_hangs_for_a_while_has_not_stepped(start_host, manager, until) -> None:
    host = start_host()
    handle = manager.add_host(host.endpoint, host.invitation)
    before = handle.clock.n_probes
    host.signal(signal.SIGSTOP)
    begun = time.monotonic()
    until(lambda: time.monotonic() > begun + 2.0)  # longer than until the next burst
    host.signal(signal.SIGCONT)
    until(lambda: handle.clock.n_probes > before)

    assert handle.clock.n_steps == 0
    assert abs(handle.clock.offset_ns) < S
