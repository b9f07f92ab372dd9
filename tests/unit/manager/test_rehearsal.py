"""What of a run is made again, without making anything."""

from __future__ import annotations

import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.rehearsal import plan
from pyacq_lab.model.rig import Connection, NodeEntry, NodeTypeEntry, Rig


def node(name, role, kind, registered="built-in", settings=()):
    made = NodeTypeEntry(name=kind, registered=registered, qualname=kind)
    return NodeEntry(name=name, nodegroup="g", role=role, type=made, settings=dict(settings))


def wire(source, target, name="in"):
    return Connection(source=source, output="out", target=target, input=name)


RIG = Rig(
    nodes=(
        node("amp", "source", "SignalGenerator"),
        node("mic", "source", "AudioInput"),
        node("filter", "transform", "SosFilter"),
        node("detector", "transform", "Spikes", "defined"),
        node("rec", "sink", "Recorder"),
    ),
    connections=(
        wire("amp", "filter"),
        wire("filter", "detector"),
        wire("amp", "rec", "raw"),
        wire("filter", "rec", "filtered"),
    ),
)


def names(found):
    return [n.name for n in found.nodes]


def test_sources_are_played_and_the_rest_is_made():
    found = plan(RIG, "rec", ["raw", "filtered"], known_types=["Spikes"])
    assert names(found) == ["filter", "detector"]
    assert found.played == {("amp", "out"): "raw"}
    assert [c.target for c in found.connections] == ["filter", "detector"]


def test_what_is_left_out_is_played_where_it_was_recorded():
    found = plan(RIG, "rec", ["raw", "filtered"], skip=["filter"], known_types=["Spikes"])
    assert names(found) == ["detector"]
    assert found.played == {("filter", "out"): "filtered"}


def test_recorders_are_made_where_asked_for():
    found = plan(RIG, "rec", ["raw"], skip=["detector"], with_recorders=True)
    assert names(found) == ["filter", "rec"]


def test_all_that_cannot_be_made_is_named_at_once():
    rig = Rig(
        nodes=(*RIG.nodes, node("loud", "sink", "AudioOutput")),
        connections=(*RIG.connections, wire("mic", "loud")),
    )
    with pytest.raises(ConfigurationError) as refused:
        plan(rig, "rec", ["raw"], skip=["nobody"])
    assert str(refused.value) == (
        "the run cannot be rehearsed: skip='nobody': the run had no such node; loud.in reads mic.out, which "
        "was not recorded: leave loud out, skip=['loud']; detector is a Spikes, which was defined in a "
        "notebook: define it and give node_types=[Spikes], or leave it out, skip=['detector']"
    )


def test_what_reads_what_cannot_be_made_is_named_too_unless_that_was_recorded():
    rig = Rig(
        nodes=(
            *RIG.nodes,
            node("spectrum", "transform", "Spectrum"),
            node("loud", "sink", "AudioOutput"),
            node("rate", "transform", "MovingMean"),
        ),
        connections=(
            *RIG.connections,
            wire("spectrum", "loud"),  # in the order in which they are not found
            wire("mic", "spectrum"),
            wire("detector", "rate"),
            wire("detector", "rec", "spikes"),
        ),
    )
    with pytest.raises(ConfigurationError) as refused:
        plan(rig, "rec", ["raw", "spikes"])
    text = str(refused.value)
    assert "spectrum.in reads mic.out, which was not recorded: leave spectrum out" in text
    assert (
        "loud.in reads spectrum.out, which was not recorded either: where spectrum is left out, leave loud "
        "out, too, skip=['loud']"
    ) in text
    assert "rate" not in text  # the spikes that it reads can be played
    assert names(plan(rig, "rec", ["raw", "spikes"], skip=["spectrum", "loud", "detector"])) == [
        "filter",
        "rate",
    ]


def test_what_was_never_configured_is_left_out():
    idle = NodeEntry(name="idle", nodegroup="g", role="sink", type=NodeTypeEntry(name="Recorder"))
    assert names(plan(Rig(nodes=(*RIG.nodes, idle)), "rec", ["raw"], known_types=["Spikes"])) == [
        "filter",
        "detector",
    ]
