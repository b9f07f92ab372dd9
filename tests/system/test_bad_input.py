"""Bad input: one clear error at once, and the rest runs on."""

from __future__ import annotations

import pathlib
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from pyacq_lab.errors import AuthenticationError, ConfigurationError, UnknownName
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.manager.manager import Manager
from pyacq_lab.model.roles import Source
from pyacq_lab.model.stream import StreamSpec

BAD_NAMES = [4, "", "a/b", "x" * 300, "a.b", None.__class__]


@pytest.fixture
def manager(jupyter_home: pathlib.Path) -> Iterator[Manager]:
    with Manager() as manager:
        yield manager


@pytest.fixture
def group(manager: Manager) -> NodeGroupHandle:
    return manager.create_nodegroup("g")


def test_names_that_are_none_are_refused_at_once_and_the_rest_runs_on(manager, group) -> None:
    node = group.create_node("SystemMonitor", name="mon")
    for name in BAD_NAMES:
        with pytest.raises(ConfigurationError, match="wanted printable text"):
            group.create_node("SystemMonitor", name=name)
        with pytest.raises(ConfigurationError, match="wanted printable text"):
            manager.create_nodegroup(name)
    with pytest.raises(UnknownName, match="known are"):
        group.create_node(5, name="five")
    assert node.state == "created"


def test_options_of_the_wrong_type_are_answered_at_once(manager, group) -> None:
    for options in ({"cwd": 4}, {"python": 4}, {"env": {"A": 1}}, {"cwd": "/no/such/folder"}):
        with pytest.raises(ValueError):  # noqa: PT011  a refusal of either side
            manager.create_nodegroup("c", **options)
    assert manager.create_nodegroup("c", cwd="/").alive, "a refused name is free again"
    with pytest.raises(AuthenticationError, match="int came as a key"):
        manager.add_host("tcp://127.0.0.1:9", key=12)


def test_a_wrong_key_for_a_connected_host_is_not_ignored(manager, group) -> None:
    with pytest.raises(AuthenticationError, match="another key"):
        manager.add_host(manager.default_host.endpoint, key=manager.user_keys.public)


def test_wiring_that_cannot_work_is_refused_when_it_is_wired(group) -> None:
    source = group.create_node("SignalGenerator", name="sine")
    source.configure()
    mean = group.create_node("MovingMean", name="mean")
    mean.configure()
    with pytest.raises(ConfigurationError, match="'lossless', 'drop-oldest', 'latest'"):
        mean.input.connect(source.output, policy="foo")
    with pytest.raises(ConfigurationError, match="cannot read itself"):
        mean.input.connect(mean.output)
    with pytest.raises(ConfigurationError, match="wants an output"):
        mean.input.connect(mean.input)
    with pytest.raises(UnknownName, match="no output 'nope'"):
        mean.input.connect(source.outputs["nope"])
    mean.input.connect(source.output)
    mean.initialize()


def test_names_of_what_is_gone_can_be_used_again(manager, group, until) -> None:
    node = group.create_node("SystemMonitor", name="mon")
    node.close()
    assert group.create_node("Replay", name="mon").info.type == "Replay"
    psutil.Process(group.pid).send_signal(signal.SIGKILL)
    until(lambda: not group.alive)
    group.close()
    assert manager.list_nodegroups() == []
    again = manager.create_nodegroup("g")
    assert again.create_node("SystemMonitor", name="mon").state == "created"


class Leaving(Source):
    """Calls sys.exit where it should read."""

    def describe(self):
        return {"out": StreamSpec(sample_rate=10.0)}

    def open(self) -> None:
        return

    def read(self, timeout: float) -> np.ndarray:
        raise SystemExit(3)


class Vague(Leaving):
    """Describes itself in a word."""

    def describe(self):
        return "out"


class Chatty(Leaving):
    """Reads text."""

    def read(self, timeout: float):
        return "x"


class Abstract(Source):
    """Lacks everything."""


def test_an_authors_mistake_is_a_fault_with_a_name(group, until) -> None:
    for kind in (Leaving, Vague, Chatty):
        group.register_node_type(kind)
    node = group.create_node("Leaving")
    node.configure()
    node.initialize()
    node.start()
    until(lambda: node.state == "faulted")
    assert "SystemExit" in node.status().reason
    with pytest.raises(ConfigurationError, match=r"Vague\.describe gave 'out'; wanted"):
        group.create_node("Vague").configure()
    chatty = group.create_node("Chatty")
    chatty.configure()
    chatty.initialize()
    chatty.start()
    until(lambda: chatty.state == "faulted")
    assert "Chatty.read gave 'x'" in chatty.status().reason
    with pytest.raises(ConfigurationError, match="lacks describe, open, read"):
        group.register_node_type(Abstract)
    for thing in (int, 3):
        with pytest.raises(ConfigurationError, match="subclass of Source"):
            group.register_node_type(thing)


def test_a_path_travels_as_text(group, tmp_path) -> None:
    recorder = group.create_node("Recorder")
    recorder.configure(path=tmp_path / "run")
    assert recorder.status().settings["path"] == str(tmp_path / "run")


def test_what_is_not_started_is_said(manager, group, until) -> None:
    group.create_node("SystemMonitor", name="forgotten")
    manager.start_all_nodes()
    until(lambda: manager.logs(contains="forgotten is not started: it is created"))


def test_an_interrupted_start_leaves_no_nodegroup_behind(manager, group, until) -> None:
    killer = threading.Timer(0.02, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
    killer.start()
    try:
        manager.create_nodegroup("late")
    except KeyboardInterrupt:
        until(lambda: all(g.state != "starting" for g in manager.default_host.status().groups))
        until(
            lambda: (
                "running" not in [g.state for g in manager.default_host.status().groups if g.name == "late"]
            )
        )
    else:
        manager.get_nodegroup("late").close()
    killer.join()
    assert manager.create_nodegroup("late").alive


def test_an_interrupted_close_is_finished_by_the_next(jupyter_home) -> None:
    manager = Manager()
    manager.create_nodegroup("g")
    children = psutil.Process().children(recursive=True)
    killer = threading.Timer(0.02, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
    killer.start()
    begun = time.monotonic()
    try:
        manager.close()
    except KeyboardInterrupt:
        manager.close()
    killer.join()
    assert time.monotonic() - begun < 40
    assert not [p for p in children if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
