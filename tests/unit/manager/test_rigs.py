"""Recorders are told of the set-up when it has changed, and of clocks every now and then."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from pyacq_lab.errors import CallTimeout, ProcessDied
from pyacq_lab.manager.rigs import RigTeller
from pyacq_lab.model.clock import ClockOffset
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.rig import Connection, GroupParts, NodeEntry, NodeTypeEntry
from pyacq_lab.wire.messages import DescribeNodes


class Reactor:
    """Runs errands when it is told to."""

    def __init__(self):
        self.errands, self.timers, self.n_timers = [], {}, 0

    def call_soon(self, function):
        self.errands.append(function)

    def call_every(self, period, function):
        self.n_timers += 1
        self.timers[self.n_timers] = function
        return self.n_timers

    def cancel(self, number):
        self.timers.pop(number, None)

    def tell_clocks(self):
        self.timers[1]()

    def run(self):
        """All errands, and those timers that fire once."""
        while self.errands or set(self.timers) - {1}:
            for number in set(self.timers) - {1}:
                self.timers[number]()
            while self.errands:
                self.errands.pop(0)()


class Group:
    """Stands for a nodegroup's handle and for its connection: notes what it is asked and told."""

    def __init__(self, name, *nodes, reads=(), sink=""):
        self.name = self.where = name
        self.host = SimpleNamespace(name="far")
        self.python = ""
        self.alive, self.error, self.client = True, None, self
        self.nodes, self.reads, self.sink, self.state = nodes, reads, sink, State.READY
        self.n_asked, self.rigs, self.n_clocks = 0, [], 0

    def known_handles(self):
        if not self.sink:
            return []
        return [SimpleNamespace(name=self.sink, where=self.sink, group=self, wants_rig=True)]

    def request(self, message, timeout):
        answer = Future()
        if self.error is not None:
            answer.set_exception(self.error)
        elif isinstance(message, DescribeNodes):
            self.n_asked += 1
            answer.set_result(self.parts())
        elif message.method == "take_rig":
            self.rigs.append([node.name for node in message.args[0].nodes])
            answer.set_result(None)
        else:
            self.n_clocks += 1
            answer.set_result(None)
        return answer

    def parts(self):
        kind = NodeTypeEntry(name="T")
        nodes = tuple(
            NodeEntry(
                name=n,
                nodegroup=self.name,
                role="sink",
                type=kind,
                state=self.state if n == self.sink else State.RUNNING,
            )
            for n in self.nodes
        )
        return GroupParts(
            nodes, tuple(Connection(source=a, output="out", target=b, input="in") for a, b in self.reads)
        )


@pytest.fixture
def groups():
    return [Group("a", "source"), Group("b", "recorder", sink="recorder", reads=[("source", "recorder")])]


@pytest.fixture
def reactor():
    return Reactor()


@pytest.fixture
def teller(reactor, groups):
    host = SimpleNamespace(
        name="far",
        endpoint="",
        clock=ClockOffset(host="far", offset_ns=5, uncertainty_ns=1, n_probes=1),
        welcome=SimpleNamespace(platform="", python="", version="", packages={}),
    )
    return RigTeller(
        SimpleNamespace(
            reactor=reactor,
            clock=SimpleNamespace(now_ns=lambda: 0),
            list_hosts=lambda: [host],
            list_nodegroups=lambda: list(groups),
            local_groups=list,
        )
    )


def start(teller, group):
    (handle,) = group.known_handles()
    teller.before_start(handle)
    group.state = State.RUNNING
    teller.note(group)  # as its node tells
    return handle


def test_nobody_is_asked_while_no_recorder_runs(teller, reactor, groups):
    for group in groups:
        teller.note(group)
    reactor.run()
    reactor.tell_clocks()
    assert [group.n_asked for group in groups] == [0, 0]


def test_a_recorder_is_told_before_its_start_and_of_changes(teller, reactor, groups):
    source, sink = groups
    start(teller, sink)
    assert sink.rigs == [["source", "recorder"]]
    reactor.run()
    assert (source.n_asked, sink.n_asked) == (1, 2)  # only what has changed
    source.nodes = ("source", "other")
    for _ in range(5):
        teller.note(source)
    reactor.run()
    assert sink.rigs[-1] == ["source", "other", "recorder"]
    assert (source.n_asked, sink.n_asked) == (2, 2)  # many changes at once are one
    n_told = len(sink.rigs)
    teller.note(source)
    reactor.run()
    assert len(sink.rigs) == n_told  # it was as before


def test_what_changes_just_before_a_stop_is_told(teller, reactor, groups):
    source, sink = groups
    handle = start(teller, sink)
    reactor.run()
    source.nodes = ("source", "other")  # of which nothing was heard yet
    teller.before_stop(handle)
    assert sink.rigs[-1] == ["source", "other", "recorder"]
    n_told = len(sink.rigs)
    source.nodes = ("source",)
    teller.note(source)
    reactor.run()
    teller.before_stop(handle)  # it does not run any more
    assert len(sink.rigs) == n_told


def test_one_that_has_stopped_or_faulted_by_itself_is_left_alone(teller, reactor, groups):
    source, sink = groups
    start(teller, sink)
    reactor.run()
    sink.state = State.FAULTED
    teller.note(sink)
    reactor.run()
    asked = source.n_asked
    teller.note(source)
    reactor.run()
    assert source.n_asked == asked


def test_clocks_are_told_with_each_rig_and_by_themselves(teller, reactor, groups):
    sink = groups[1]
    start(teller, sink)
    reactor.run()
    before, n_rigs = sink.n_clocks, len(sink.rigs)
    reactor.tell_clocks()
    assert (sink.n_clocks, len(sink.rigs)) == (before + 1, n_rigs)


def test_what_ended_is_kept_as_long_as_somebody_read_it(teller, reactor, groups):
    groups[:] = [
        Group("a", "source"),
        Group("b", "filter", reads=[("source", "filter")]),
        Group("c", "recorder", reads=[("filter", "recorder")], sink="recorder"),
        Group("d", "bystander"),
    ]
    sink = groups[2]
    start(teller, sink)
    reactor.run()
    for group in (groups[0], groups[1], groups[3]):
        group.alive = False
    teller.note(sink)
    reactor.run()
    assert sorted(sink.rigs[-1]) == ["filter", "recorder", "source"]


def test_one_that_does_not_answer_is_told_of_once_and_holds_nothing_up(teller, reactor, groups, caplog):
    source, sink = groups
    source.error = CallTimeout("no answer")
    start(teller, sink)
    for _ in range(3):
        teller.note(source)
        reactor.run()
    assert sink.rigs[-1] == ["recorder"]
    assert [r.message for r in caplog.records] == [
        "a does not say what its nodes are, so no record does: no answer"
    ]
    source.error = None
    teller.note(source)
    reactor.run()
    assert "source" in sink.rigs[-1]


def test_one_that_could_not_be_told_is_told_with_the_next_word_on_clocks(teller, reactor, groups, caplog):
    source, sink = groups
    start(teller, sink)
    reactor.run()
    source.nodes = ("source", "other")
    sink.error = ProcessDied("the connection is lost")
    teller.note(source)
    reactor.run()
    sink.error = None
    reactor.tell_clocks()
    assert sink.rigs[-1] == ["source", "other", "recorder"]
    assert caplog.records == []  # others tell of lost connections
