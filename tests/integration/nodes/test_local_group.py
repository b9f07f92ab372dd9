"""Nodes in the notebook's own process: the same verbs, wired to each other and to those of nodegroups."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab import LocalNodeGroup, transform
from pyacq_lab.errors import ConfigurationError, LifecycleError, UnknownName
from pyacq_lab.manager.manager import Manager
from pyacq_lab.manager.managerproxy import ManagerProxy
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink


@transform
def negate(data):
    return -data


class Bag(Sink):
    """Keeps all samples."""

    samples: list[np.ndarray]

    def open(self, inputs):
        self.samples = []

    def write(self, chunk, name):
        self.samples.append(chunk.data)

    def gap(self, gap, name):
        raise AssertionError("nothing is lost here")

    def total(self):
        """How many samples came."""
        return sum(map(len, self.samples))


def test_a_chain_in_this_process(until):
    with LocalNodeGroup() as here:
        for kind in (negate, Bag):
            here.register_node_type(kind)
        device, minus, bag = (here.create_node(kind) for kind in ("SimulatedDevice", "negate", "Bag"))
        assert here.list_nodes() == ["SimulatedDevice1", "negate1", "Bag1"]
        device.configure(end_at=200, n_channels=1, sample_rate=10_000.0)
        minus.configure()
        bag.configure()
        minus.input.connect(device.output)
        bag.input.connect(minus.outputs["out"])
        here.start_all_nodes()
        until(lambda: bag.total() == 200)
        assert {minus.state, bag.state} == {State.RUNNING}
        assert "total" in dir(bag)
        assert bag.input.status().samples == 200
        here.stop_all_nodes()
        np.testing.assert_array_equal(np.concatenate(bag.samples)[:, 0], -np.arange(200))
        assert here.get_node("Bag1") is bag
        assert not here.any_node_running()
        assert here.settings_schema("SimulatedDevice")["properties"]["sample_rate"]["type"] == "number"
        here.remove_node(minus)
        with pytest.raises(UnknownName, match="no node 'negate1'"):
            here.get_node("negate1")
        with pytest.raises(AttributeError, match="no public attribute or method 'totl'"):
            bag.totl()
        with pytest.raises(ConfigurationError, match="cannot be passed to calls in nodegroups"):
            bag.input._pyacq_reference_()
    assert bag.state is State.CLOSED
    with pytest.raises(LifecycleError, match="closed: make another"):
        here.create_node("Bag")


def test_errors_are_the_nodes_own_also_in_futures():
    with LocalNodeGroup() as here:
        device = here.create_node("SimulatedDevice", "device")
        with pytest.raises(ConfigurationError, match="sample_rate=-1"):
            device.configure(sample_rate=-1)
        failed = device.call("start", _sync="async")
        with pytest.raises(LifecycleError, match="cannot start a node that is created"):
            failed.result(10)


def test_streams_lead_to_a_nodegroup_and_back(jupyter_home, until):
    with Manager() as manager:
        here = LocalNodeGroup(manager)
        group = manager.create_nodegroup("away")
        group.register_node_type(negate)
        here.register_node_type(Bag)
        device, minus = here.create_node("SimulatedDevice", "device"), group.create_node("negate", "minus")
        bag = here.create_node("Bag", "bag")
        with pytest.raises(ConfigurationError, match="already is a node 'bag'"):
            group.create_node("negate", "bag")
        device.configure(end_at=200, n_channels=1, sample_rate=10_000.0)
        minus.configure()
        bag.configure()
        minus.input.connect(device.output)
        bag.input.connect(minus.output)
        manager.start_all_nodes()
        until(lambda: bag.total() == 200)
        np.testing.assert_array_equal(np.concatenate(bag.samples)[:, 0], -np.arange(200))
        assert len(manager.edges()) == 2
        assert manager.get_node("bag") is bag
        graph = {n["name"]: n for n in manager.graph()["nodes"]}
        assert list(graph) == ["minus", "device", "bag"]
        wanted = {"type": "Bag", "host": "notebook", "nodegroup": "here", "state": "running"}
        assert graph["bag"] == {"name": "bag"} | wanted
        status = manager.status()
        assert [group.name for group in status.local] == ["here"]
        assert [node.name for node in status.nodes["here"]] == ["device", "bag"]
        for local in (here, bag, bag.input):
            with pytest.raises(ConfigurationError, match="cannot be passed to calls in nodegroups"):
                minus.configure(local)
        assert manager.emergency_stop()["notebook/here"] == ["bag"]
        until(lambda: bag.state is State.READY)
    assert bag.state is State.CLOSED


def test_names_are_those_of_no_other_nodegroup(jupyter_home):
    with Manager() as manager:
        first, second = LocalNodeGroup(manager), LocalNodeGroup(manager)
        assert (first.name, second.name) == ("here", "here-2")
        with pytest.raises(ConfigurationError, match="already is a nodegroup 'here'"):
            LocalNodeGroup(manager, "here")
        with pytest.raises(ConfigurationError, match="already is a nodegroup 'here'"):
            manager.free_group_name("here")
        first.close()
        assert [group.name for group in manager.status().local] == ["here-2"]
        assert LocalNodeGroup(manager, "here").alive


def test_a_manager_in_another_process_is_refused():
    away = ManagerProxy.__new__(ManagerProxy)
    with pytest.raises(ConfigurationError, match="without mode='rpc'"):
        LocalNodeGroup(away)  # pyright: ignore[reportArgumentType]


def test_a_faulted_node_shows_its_error(until):
    with LocalNodeGroup() as here:
        device = here.create_node("SimulatedDevice", "device")
        device.configure(fail_at=10)
        here.start_all_nodes()
        until(lambda: device.state is State.FAULTED)
        html = device._repr_html_()
        assert html.startswith("<div><b>notebook/here/device</b> (SimulatedDevice): faulted (")
        assert "<details><summary>last error</summary>" in html
        assert "Traceback (most recent call last)" in html
