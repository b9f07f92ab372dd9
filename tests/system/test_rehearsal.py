"""A run says what made it, and is played again as the whole graph."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab import LocalNodeGroup, open_run
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.managerproxy import ManagerProxy
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Transform

N_SAMPLES = 2000


class Negative(Transform):
    """As a cell would define it."""

    def describe(self, inputs):
        """As it came."""
        return {"out": inputs["in"]}

    def process(self, chunk, name):
        """Turn it around."""
        return -chunk.data


def record(group, path, until):
    """Record a device, its filtered samples and a class of this module's, in some group of nodes."""
    group.register_node_type(Negative)
    device = group.create_node("SimulatedDevice", "amp")
    device.configure(end_at=N_SAMPLES, n_channels=2, sample_rate=10_000.0)
    smooth = group.create_node("SosFilter", "filter")
    smooth.configure(kind="highpass", low=5.0)
    minus = group.create_node("Negative", "minus")
    minus.configure()
    recorder = group.create_node("Recorder", "recorder")
    recorder.configure(path=str(path))
    smooth.input.connect(device.output)
    minus.input.connect(smooth.outputs["out"])
    recorder.inputs["raw"].connect(device.output)
    recorder.inputs["filtered"].connect(smooth.outputs["out"])
    recorder.inputs["minus"].connect(minus.outputs["out"])
    group.start_all_nodes()
    until(lambda: all(recorder.inputs[n].status().stop == N_SAMPLES for n in ("raw", "filtered", "minus")))
    return recorder


def equal_streams(run, again):
    for name in run:
        np.testing.assert_array_equal(again[name].raw(), run[name].raw())


def test_a_rehearsal_gives_the_same_bit_for_bit(manager, tmp_path, until):
    group = manager.create_nodegroup("lab")
    recorder = record(group, tmp_path / "run", until)
    until(lambda: open_run(tmp_path / "run").rig.node("recorder").state is State.RUNNING)
    group.stop_all_nodes()
    run = open_run(tmp_path / "run")
    rig = run.rig
    assert {g.name: g.host for g in rig.nodegroups} == {"lab": group.host.name}
    assert rig.node("amp").settings["sample_rate"] == 10_000.0
    minus = rig.node("minus").type
    assert (minus.registered, minus.name) == ("defined", "Negative")
    assert "return -chunk.data" in minus.source
    assert rig.hosts[0].packages["numpy"] == np.__version__
    assert run["raw"].producer == run.manifest().recorded_on == group.host.name
    assert run["raw"].is_on_one_clock
    assert group.host.name in run.clocks.hosts

    with pytest.raises(ConfigurationError, match=r"node_types=\[Negative\]"):
        manager.replay_run(run.path, record=tmp_path / "again")
    assert [g.name for g in manager.list_nodegroups()] == ["lab"]
    with manager.replay_run(
        run.path, realtime=False, node_types=[Negative], record=tmp_path / "again"
    ) as rehearsal:
        assert set(rehearsal.nodes) == {"filter", "minus", "recorder"}
        rehearsal.start()
        rehearsal.wait(20.0)
        assert rehearsal["recorder"].name != recorder.name
    equal_streams(run, open_run(tmp_path / "again"))
    assert [g.name for g in manager.list_nodegroups()] == ["lab"]
    assert not manager.logs(contains="does not say what its nodes are")


def test_a_setting_that_changes_while_it_runs_is_in_the_run(manager, tmp_path, until):
    with LocalNodeGroup(manager) as here:
        device = here.create_node("SimulatedDevice", "amp")
        device.configure(n_channels=1, sample_rate=1000.0)
        smooth = here.create_node("SosFilter", "filter")
        smooth.configure(kind="highpass", low=5.0)
        recorder = here.create_node("Recorder", "recorder")
        recorder.configure(path=str(tmp_path / "run"))
        smooth.input.connect(device.output)
        recorder.inputs["filtered"].connect(smooth.outputs["out"])
        here.start_all_nodes()
        run = open_run(tmp_path / "run")
        assert run.rig.node("filter").settings["low"] == 5.0
        assert run.manifest().recorded_on == "notebook"
        smooth.change(low=8.0)
        until(lambda: run.rig.node("filter").settings["low"] == 8.0)
        smooth.change(low=9.0)
        here.stop_all_nodes()  # at once: it is told before
        assert run.rig.node("filter").settings["low"] == 9.0
        assert [change.settings["low"] for change in run.changes.of("filter")] == [5.0, 8.0, 9.0]
        with manager.replay_run(run.path, realtime=False, skip=["filter"], nodegroup=here,
                                record=tmp_path / "again") as rehearsal:  # fmt: skip
            assert set(rehearsal.nodes) == {"recorder"}
            rehearsal.start()
            rehearsal.wait(20.0)
        equal_streams(run, open_run(tmp_path / "again"))
        assert {node.name for node in manager.list_nodes()} == {"amp", "filter", "recorder"}


def test_a_manager_in_a_process_of_its_own_tells_and_rehearses(tmp_path, until, jupyter_home):
    with ManagerProxy(print_logs=False) as manager:
        group = manager.create_nodegroup("lab")
        record(group, tmp_path / "run", until)
        group.stop_all_nodes()
        run = open_run(tmp_path / "run")
        assert run["raw"].producer
        rehearsal = manager.replay_run(
            str(run.path), realtime=False, skip=["minus"], record=str(tmp_path / "again")
        )
        rehearsal.start()
        rehearsal.wait(20.0)
        rehearsal.close()
        np.testing.assert_array_equal(open_run(tmp_path / "again")["filtered"].raw(), run["filtered"].raw())


def test_nodegroups_and_types_of_modules_come_back(manager, tmp_path, until):
    daq, maths = manager.create_nodegroup("daq"), manager.create_nodegroup("maths")
    device = daq.create_node("SimulatedDevice", "amp")
    device.configure(end_at=N_SAMPLES, n_channels=2, sample_rate=10_000.0)
    # Any module that other nodegroups can import, too.
    kind = maths.register_node_type_from_module("pyacq_lab.processing.mean", "MovingMean")
    mean = maths.create_node(kind, "mean")
    mean.configure(window=0.01)
    mean.input.connect(device.output)
    recorder = daq.create_node("Recorder", "recorder")
    recorder.configure(path=str(tmp_path / "run"))
    recorder.inputs["raw"].connect(device.output)
    recorder.inputs["mean"].connect(mean.outputs["out"])
    manager.start_all_nodes()
    until(lambda: all(recorder.inputs[n].status().stop == N_SAMPLES for n in ("raw", "mean")))
    manager.stop_all_nodes()
    run = open_run(tmp_path / "run")
    assert run.rig.node("mean").type.registered == "module"
    with manager.replay_run(
        run.path, realtime=False, keep_groups=True, record=tmp_path / "again"
    ) as rehearsal:
        groups = {name: node.group.name for name, node in rehearsal.nodes.items()}
        assert len({*groups.values(), "daq", "maths"}) == 4
        rehearsal.start()
        rehearsal.wait(20.0)
    equal_streams(run, open_run(tmp_path / "again"))
    assert sorted(g.name for g in manager.list_nodegroups()) == ["daq", "maths"]
    assert not manager.logs(contains="does not say what its nodes are")
