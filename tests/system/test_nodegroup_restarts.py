"""A nodegroup whose process died is started again with its nodes, by hand or by policy."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from pyacq_lab.errors import CallTimeout, ConfigurationError, LifecycleError, PyacqError, UnknownName
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink


class Ear(Sink):
    """Notes how many samples came, and can say what another process is to be told."""

    def open(self, inputs):
        self.heard = 0

    def write(self, chunk, name):
        self.heard += len(chunk)

    def gap(self, gap, name):
        pass

    def pid(self) -> int:
        """Process that it is in."""
        import os

        return os.getpid()


def kill(group) -> None:
    os.kill(group.pid, signal.SIGKILL)


def source_in(group, name: str = "source"):
    source = group.create_node("SignalGenerator", name)
    source.configure(sample_rate=1000.0, n_channels=2)
    return source


def runs(node) -> bool:
    """Whether a node runs, as far as there is anybody to ask."""
    with contextlib.suppress(PyacqError):
        return node.state is State.RUNNING
    return False


def is_flowing(reader, until) -> None:
    """Wait until samples come that were not there before."""
    before = reader.heard
    until(lambda: reader.heard > before)


def test_a_restart_by_hand_makes_the_nodes_again_as_they_were(manager, until) -> None:
    group, elsewhere = manager.create_nodegroup("daq"), manager.create_nodegroup("elsewhere")
    for each in (group, elsewhere):
        each.register_node_type(Ear)
    source = source_in(group)
    mean = group.create_node("MovingMean", "mean")
    mean.configure(window=0.01)
    ears = {name: each.create_node("Ear", name) for name, each in (("near", group), ("far", elsewhere))}
    mean.input.connect(source.output, policy="drop-oldest", backfill=0.5, transfermode="plaindata")
    ears["near"].configure()
    ears["near"].input.connect(mean.output)
    ears["far"].configure()
    ears["far"].input.connect(source.output)
    idle = group.create_node("SignalGenerator", "idle")
    bare = group.create_node("SignalGenerator", "bare")
    source.outputs["out"].configure(buffer_seconds=3.0)
    idle.configure(sample_rate=500.0)
    manager.start_nodes([source, mean, *ears.values()])
    source.change(amplitude=2.5)
    is_flowing(ears["far"], until)
    addresses = [source.output.address, mean.output.address]
    before, endpoint, recipes = group.pid, group.client.endpoint, dict(group.revival._recipes)

    kill(group)
    until(lambda: not group.alive, 2)
    group.restart()

    assert group.pid != before
    assert ears["near"].pid() == group.pid
    assert [n.state for n in (source, mean, ears["near"], idle, bare)] == [
        *[State.RUNNING] * 3,
        State.CONFIGURED,
        State.CREATED,
    ]
    assert source.settings.amplitude == 2.5
    assert (source.status().settings["n_channels"], mean.status().settings["window"]) == (2, 0.01)
    assert source.output.spec.buffer_seconds == 3.0
    assert [source.output.address, mean.output.address] == addresses
    assert group.client.endpoint == endpoint
    assert sorted(map(str, group.edges())) == sorted(str(e) for r in recipes.values() for e in r.edges())
    wired = group.revival._recipes["mean"].inputs[0]
    assert (wired.policy, wired.backfill, wired.transfermode) == ("drop-oldest", 0.5, "plaindata")
    is_flowing(ears["near"], until)
    is_flowing(ears["far"], until)  # it was never told of another address
    assert ears["far"].state is State.RUNNING
    until(lambda: manager.logs(level="WARNING", contains="daq was started again with its nodes"))


def test_changes_from_a_cell_are_known_as_well(manager, until) -> None:
    group = manager.create_nodegroup("daq")
    source = source_in(group)
    code = (
        "nodes['source'].configure(sample_rate=250.0); nodes['source'].initialize(); nodes['source'].start()"
    )
    assert group.run(code).ok
    group.restart()  # while it runs
    assert source.state is State.RUNNING
    assert source.settings.sample_rate == 250.0
    group.remove_node(source)
    group.restart()
    assert group.list_nodes() == []
    with pytest.raises(UnknownName):
        source.start()


def test_a_node_that_cannot_start_again_keeps_no_other_from_it(manager, until, tmp_path) -> None:
    module, broken = tmp_path / "mine.py", tmp_path / "broken"
    module.write_text(
        "import pathlib\nfrom pyacq_lab.devices.generator import SignalGenerator\n"
        "class Fragile(SignalGenerator):\n"
        "    def open(self):\n"
        f"        if pathlib.Path({str(broken)!r}).exists():\n"
        "            raise OSError('unplugged')\n"
        "        super().open()\n"
    )
    group = manager.create_nodegroup("daq", env={"PYTHONPATH": str(tmp_path)})
    group.register_node_type_from_module("mine", "Fragile")
    fragile, sound = group.create_node("Fragile", "fragile"), source_in(group)
    fragile.configure(sample_rate=100.0)
    manager.start_nodes([fragile, sound])
    broken.touch()
    kill(group)
    until(lambda: not group.alive, 2)
    with pytest.raises(LifecycleError, match="unplugged"):
        group.restart()
    assert (fragile.state, sound.state) == (State.FAULTED, State.RUNNING)
    until(lambda: manager.logs(level="ERROR", contains="could not start again"))
    broken.unlink()
    group.restart()
    assert (fragile.state, sound.state) == (State.CONFIGURED, State.RUNNING)


def test_a_nodegroup_is_started_again_by_policy(manager, until) -> None:
    group = manager.create_nodegroup("daq", restart="on-failure")
    source = source_in(group)
    with source.output.open("lossless") as stream:
        manager.start_nodes([source])
        until(lambda: stream.recv(5))
        for epoch in (1, 2):  # as they count here
            before = group.pid
            kill(group)
            until(lambda before=before: group.pid != before and runs(source))
            until(lambda epoch=epoch: stream.recv(5).epoch == epoch)  # at the same address
    assert manager.logs(level="WARNING", contains="it is started again")
    group.close()
    assert not group.alive
    assert not manager.list_nodegroups()


def test_an_end_that_was_asked_for_is_one(manager, until) -> None:
    asked, by_itself = (manager.create_nodegroup(name, restart="on-failure") for name in ("asked", "quits"))
    asked.kill()
    by_itself.run("print('bye')")
    with contextlib.suppress(PyacqError):
        by_itself.run("quit()")
    until(lambda: not by_itself.alive)
    assert not asked.alive
    assert not manager.logs(contains="is started again")
    by_itself.restart()
    assert by_itself.run("1").ok
    with pytest.raises(ConfigurationError, match="restart='always'"):
        manager.create_nodegroup("daq", restart="always")


def test_a_nodegroup_that_dies_again_and_again_is_given_up(manager, until) -> None:
    group = manager.create_nodegroup("daq", restart="on-failure")
    group.revival._allowance = type(group.revival._allowance)(most=2)

    def is_given_up() -> bool:
        return bool(manager.logs(level="CRITICAL", contains="daq is not started again"))

    while not is_given_up():  # each as soon as there is one, whether it has been reached or not
        before = group.pid
        with contextlib.suppress(ProcessLookupError):
            kill(group)
        until(lambda before=before: group.pid != before or is_given_up(), 30)
    assert not group.alive
    assert len(manager.logs(level="WARNING", contains="it is started again")) == 2
    assert "last words" in manager.logs(level="CRITICAL", contains="not started again")[-1].message
    group.restart()  # by hand it can be
    assert group.alive


def test_a_manager_that_closes_while_a_nodegroup_is_started_again_leaves_nothing(make_manager, until) -> None:
    manager = make_manager()
    group = manager.create_nodegroup("daq", restart="on-failure")
    manager.start_nodes([source_in(group)])
    kill(group)
    until(lambda: not group.alive)
    manager.close()


def test_calls_wait_while_a_nodegroup_is_started_again(manager, until) -> None:
    group = manager.create_nodegroup("daq", restart="on-failure")
    source = source_in(group)
    manager.start_nodes([source])
    with group.revival.lock:  # so that it begins when this test lets it
        kill(group)
        until(lambda: not group.alive)
        later = source.call("settings_schema", _sync="async")
        with pytest.raises(CallTimeout, match="is being started again"):
            source.call("settings_schema", _sync="async", _timeout=0.05).result()
        with pytest.raises(CallTimeout, match="is being started again"):
            source.call("settings_schema", _timeout=0.05)
    assert source.state is State.RUNNING
    assert source.settings.sample_rate == 1000.0
    assert group.list_nodes() == ["source"]
    assert "sample_rate" in later.result()["properties"]
