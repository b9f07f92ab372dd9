"""Two hosts and a notebook on machines of their own; cables are unplugged, and a host is killed."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import netns
import pytest
from programs import all_gone, tree

WHY_NOT = netns.why_not()

pytestmark = [
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.timeout(90),
]

CUT = 5.0
"""Seconds without a link."""

NOTEBOOK = """
import json, sys
import numpy as np
from pyacq_lab import PyacqError, Reading, Sink, Source, StreamSpec
from pyacq_lab.manager.manager import Manager

RATE = 1000

class Counter(Source):
    '''Gives its sample's number as its sample.'''
    def __init__(self, settings):
        super().__init__(settings)
        self.stop = 0
    def describe(self):
        return {"out": StreamSpec.of("<i8", shape=(-1, 1), sample_rate=RATE, buffer_size=RING)}
    def open(self):
        self.begun, self.stop = self.clock.now_ns(), 0
    def read(self, timeout):
        self.clock.sleep(0.01)
        start, self.stop = self.stop, (self.clock.now_ns() - self.begun) * RATE // 10**9
        return Reading(np.arange(start, self.stop)[:, None])

class Checker(Sink):
    def open(self, inputs):
        self.good = self.bad = self.lost = self.next = 0
    def write(self, chunk, name):
        fits = chunk.start == self.next and (chunk.data[:, 0] == np.arange(chunk.start, chunk.stop)).all()
        self.good += len(chunk) if fits else 0
        self.bad += 0 if fits else len(chunk)
        self.next = chunk.stop
    def gap(self, gap, name):
        self.lost += len(gap)
        self.next = gap.stop
    def account(self):
        return {"good": self.good, "bad": self.bad, "lost": self.lost, "next": self.next}

RING = int(sys.argv[5])
manager = Manager()
hosts = [manager.add_host(sys.argv[i], sys.argv[i + 1]) for i in (1, 3)]
groups = [host.create_nodegroup("on " + host.name) for host in hosts]
groups[0].register_node_type(Counter)
groups[1].register_node_type(Checker)
counter, checker = groups[0].create_node("Counter"), groups[1].create_node("Checker")
counter.configure(); checker.configure()
checker.input.connect(counter.output)
manager.start_all_nodes()

def look():
    found = {h.name: h.client.connected for h in hosts}
    found["repr"] = [repr(h) for h in hosts] + [repr(g) for g in groups]
    found["pids"] = [g.pid for g in groups]
    found["unreachable"] = {}
    if not all(found[h.name] for h in hosts):
        found["unreachable"] = manager.status().unreachable
    try:
        found.update(checker.account(_timeout=2))
        ledger = checker.status().inputs[0].ledger
        found.update(sent=ledger.sent, received=ledger.received)
        found.update(dropped=ledger.dropped, pending=ledger.pending)
    except PyacqError as error:
        found["error"] = repr(error)
    return found

def logs():
    return [r.message for r in manager.logs(level="WARNING")]

print("started", flush=True)
for line in sys.stdin:
    try:
        print(json.dumps(eval(line)), flush=True)
    except PyacqError as error:
        print(json.dumps({"error": repr(error)}), flush=True)
"""


@pytest.fixture
def lab(stack):
    return stack.enter_context(netns.Lab("a", "b", "notebook"))


class Rig:
    """Host a with a source, host b with its sink, and a notebook on a third machine."""

    def __init__(self, lab: netns.Lab, start_host: Any, start_script: Any, ring: int) -> None:
        self.lab = lab
        self.hosts = {
            name: start_host(f"tcp://{lab.address(name)}:8000", "--name", name, prefix=lab.prefix(name))
            for name in ("a", "b")
        }
        invitations = [word for h in self.hosts.values() for word in (h.endpoint, h.invitation)]
        self.notebook = start_script(NOTEBOOK, *invitations, str(ring), prefix=lab.prefix("notebook"))
        assert self.notebook.line() == "started"

    def ask(self, code: str) -> Any:
        self.notebook.tell(code)
        return json.loads(self.notebook.line())

    def look(self) -> dict[str, Any]:
        return self.ask("look()")


@pytest.mark.parametrize(("ring", "lossless"), [(30_000, True), (1_500, False)])
def test_an_unplugged_cable_costs_what_the_ring_no_longer_holds_and_nothing_else(
    lab, start_host, start_script, until, ring, lossless
) -> None:
    rig = Rig(lab, start_host, start_script, ring)
    until(lambda: rig.look().get("good", 0) > 200)
    lab.unplug("b")
    unplugged = time.monotonic()
    until(lambda: not (now := rig.look())["b"] and "b" in now["unreachable"])
    lost = rig.look()
    assert lost["a"]
    assert "connection lost" in lost["repr"][1]
    assert "connection lost" not in lost["repr"][0]
    until(lambda: time.monotonic() > unplugged + CUT)
    lab.plug("b")
    until(lambda: rig.look()["b"], 15)
    before = rig.ask("counter.outputs['out'].status().stop")
    until(lambda: rig.look().get("next", 0) > before, 20)
    rig.ask("counter.stop()")
    end = rig.ask("counter.outputs['out'].status().stop")
    until(lambda: rig.look().get("next") == end)
    found = rig.look()
    assert found["pending"] == 0
    assert found["sent"] == found["received"] + found["dropped"] == end
    assert (found["good"], found["lost"], found["bad"]) == (found["received"], found["dropped"], 0)
    assert (found["lost"] == 0) is lossless
    said = rig.ask("logs()")
    assert any("connection to host b at" in m and "is lost" in m for m in said)
    until(lambda: "host b is connected again" in rig.ask("logs()"))
    assert found["repr"][1].endswith("connected, 1 nodegroups>")


def test_a_killed_host_takes_its_part_and_leaves_the_rest(lab, start_host, start_script, until) -> None:
    rig = Rig(lab, start_host, start_script, 30_000)
    until(lambda: rig.look().get("good", 0) > 200)
    pids = [*tree(rig.hosts["a"].pid), rig.look()["pids"][0]]
    rig.hosts["a"].signal(signal.SIGKILL)
    until(lambda: all_gone(pids), 5)
    until(lambda: "a" in rig.look()["unreachable"])
    found = rig.look()
    assert found["b"]
    assert found["bad"] == 0
    assert "error" not in found  # the checker on b still answers
    assert rig.ask("hosts[1].create_nodegroup('more').list_nodes()") == []


def test_a_host_whose_cable_is_pulled_for_longer_than_the_lease_ends_the_nodegroups(
    lab, start_host, start_script, until
) -> None:
    script = """
import sys
from pyacq_lab.manager.manager import Manager
manager = Manager(lease=4.0)
group = manager.add_host(sys.argv[1], sys.argv[2]).create_nodegroup()
print(group.pid, flush=True)
while group.alive:
    manager.clock.sleep(0.05)
print(group.ending, flush=True)
manager.close()
"""
    host = start_host(f"tcp://{lab.address('a')}:8000", "--name", "a", prefix=lab.prefix("a"))
    notebook = start_script(script, host.endpoint, host.invitation, prefix=lab.prefix("notebook"))
    pid = int(notebook.line())
    lab.unplug("a")
    until(lambda: all_gone([pid]), 15)
    lab.plug("a")
    assert (
        "host a gave this manager up, because it was silent for more than its lease of 4 s" in notebook.line()
    )
    assert notebook.wait() == 0


def test_a_host_that_listens_everywhere_is_read_as_it_was_reached(
    lab, start_host, start_script, until
) -> None:
    script = """
import sys
from pyacq_lab import InputStream
from pyacq_lab.manager.manager import Manager
manager = Manager()
group = manager.add_host(sys.argv[1], sys.argv[2]).create_nodegroup()
other = manager.add_host(sys.argv[4], sys.argv[5]).create_nodegroup()
node, mean = group.create_node("SignalGenerator"), other.create_node("MovingMean")
mean.configure()
node.outputs["out"].configure(compression="lz4", buffer_seconds=2.0)
node.configure()
node.output.configure(interface=sys.argv[3], transfermode="plaindata")
mean.input.connect(node.outputs["out"])
node.initialize()
mean.initialize()
mean.start()
with InputStream(policy="lossless").connect(node.outputs["out"]) as stream:
    node.start()
    chunk = stream.recv(5)
    print(chunk.start, len(chunk) > 0, stream.address.endpoint.rpartition(":")[0], flush=True)
    print(stream.spec.compression, stream.spec.buffer_seconds, node.output.status().transfermode, flush=True)
while not mean.output.status().samples:
    manager.clock.sleep(0.01)
print(mean.input.status().ledger.transfermode, mean.input.status().ledger.dropped, flush=True)
manager.close()
"""
    host = start_host("tcp://0.0.0.0:8000", "--name", "a", prefix=lab.prefix("a"))
    endpoint = host.endpoint.replace("0.0.0.0", lab.address("a"))
    other = start_host(f"tcp://{lab.address('b')}:8000", "--name", "b", prefix=lab.prefix("b"))
    for interface in ("0.0.0.0", lab.address("a")):
        words = endpoint, host.invitation, interface, other.endpoint, other.invitation
        notebook = start_script(script, *words, prefix=lab.prefix("notebook"))
        assert notebook.line() == f"0 True tcp://{lab.address('a')}"
        assert notebook.line() == "lz4 2.0 plaindata"
        assert notebook.line() == "plaindata 0"
        assert notebook.wait() == 0
