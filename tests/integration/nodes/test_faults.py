"""Whatever hook fails, the node is faulted, says why, its neighbours go on, and configure brings it back."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from pyacq_lab.errors import LifecycleError
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink, Source, Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing.hooks import HOOKS, HookFailed, failing


class LevelSettings(Settings):
    level: float = setting(1.0, live=True)


class Beat(Source):
    """Gives ten samples, loses five, and so on."""

    settings_type = LevelSettings

    def describe(self):
        return {"out": StreamSpec(shape=(-1,), sample_rate=1000.0)}

    def open(self):
        self.is_first = True

    def read(self, timeout):
        self.clock.sleep(0.01)
        lost, self.is_first = 0 if self.is_first else 5, False
        return Reading(np.ones(10), lost=lost)


class Same(Transform):
    settings_type = LevelSettings

    def describe(self, inputs):
        return dict(zip(self.outputs, inputs.values(), strict=True))

    def process(self, chunk, name):
        return chunk.data


class Drain(Sink):
    settings_type = LevelSettings

    def open(self, inputs):
        pass

    def write(self, chunk, name):
        pass

    def gap(self, gap, name):
        pass


CASES = [
    (role, kind, hook)
    for role, kind in ((Source, Beat), (Transform, Same), (Sink, Drain))
    for hook in HOOKS[role]
]


@pytest.mark.parametrize(("role", "kind", "hook"), CASES, ids=[f"{k.__name__}.{h}" for _, k, h in CASES])
def test_a_hook_that_fails(make_nodes, until, caplog, role, kind, hook):
    broken = failing(kind, hook)
    types = {Source: Beat, Transform: Same, Sink: Drain} | {role: broken}
    make = make_nodes(*types.values())
    nodes = {role: make(kind.__name__, kind.__name__.lower()) for role, kind in types.items()}
    source, same, drain = nodes.values()

    def wire():
        for node in nodes.values():
            node.configure()
        same.connect("in", source.output_address("out"))
        drain.connect("in", same.output_address("out"))
        for node in nodes.values():
            node.initialize()
        for node in reversed(nodes.values()):
            node.start()

    def is_down():
        return any(node.state is State.FAULTED for node in nodes.values())

    def live():
        wire()
        until(lambda: drain.status().gaps >= 5 or is_down())
        nodes[role].change(level=2.0)
        source.stop()  # an end that all hear of
        until(lambda: not drain._epochs or is_down())
        for node in (same, drain):
            if node.state is State.RUNNING:
                node.stop()

    caplog.set_level(logging.ERROR)
    try:
        live()
    except (HookFailed, LifecycleError):
        pass  # who gave the command that made it fail is told, too
    suspect = nodes[role]
    until(lambda: suspect.state is State.FAULTED)
    status = suspect.status()
    assert status.reason == f"HookFailed: {hook} of {kind.__name__}"
    assert "Traceback" in status.last_error
    assert f"HookFailed: {hook}" in caplog.text
    assert [n.name for n in nodes.values() if n.state is State.FAULTED] == [suspect.name]
    for node in (source, same, drain):
        if node.state is State.RUNNING:
            node.stop()
    broken.fails = False
    live()
    assert {node.state for node in nodes.values()} == {State.READY}
    assert "HookFailed" in suspect.status().last_error
