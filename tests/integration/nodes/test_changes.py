"""Live settings change while nodes run: at an index that is told, and what is refused changes nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, EndOfStream, LifecycleError
from pyacq_lab.model.chunk import Chunk, Gap, concatenate
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink, Source, Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec


class StepsSettings(Settings):
    level: float = setting(0.0, unit="V", live=True, description="value of all samples")
    size: int = setting(10, ge=1, unit="samples", description="samples per chunk")


class Steps(Source):
    """Gives its level, chunk by chunk, when the test says so."""

    settings_type = StepsSettings
    go = threading.Semaphore(0)
    over = False

    def describe(self) -> Mapping[str, StreamSpec]:
        return {"out": StreamSpec(shape=(-1,), sample_rate=1000.0)}

    def open(self) -> None:
        pass

    def read(self, timeout: float) -> np.ndarray | None:
        if not Steps.go.acquire(timeout=timeout):
            if Steps.over:
                raise EndOfStream("told so")
            return None
        return np.full(self.settings.size, self.settings.level)


class GainSettings(Settings):
    gain: float = setting(2.0, live=True, description="factor")


class Gain(Transform):
    """Multiplies, and does not want 13; 666 is its end."""

    settings_type = GainSettings

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        return {"out": inputs["in"]}

    def change(self, settings: GainSettings) -> None:
        if settings.gain == 13:
            raise ConfigurationError("not 13")
        if settings.gain == 666:
            raise OSError("unplugged")
        super().change(settings)

    def process(self, chunk: Chunk, name: str) -> np.ndarray:
        return chunk.data * self.settings.gain


class Hold(Sink):
    """Keeps all."""

    items: list[Chunk | Gap]

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        Hold.items = []

    def write(self, chunk: Chunk, name: str) -> None:
        Hold.items.append(chunk)

    def gap(self, gap: Gap, name: str) -> None:
        Hold.items.append(gap)


@pytest.fixture
def chain(make_nodes):
    make = make_nodes(Steps, Gain, Hold)
    source, gain, hold = make("Steps", "source"), make("Gain", "gain"), make("Hold", "hold")
    Steps.go, Steps.over = threading.Semaphore(0), False
    for node in (source, gain, hold):
        node.configure()
    gain.connect("in", source.output_address("out"))
    hold.connect("in", gain.output_address("out"))
    for node in (source, gain, hold):
        node.initialize()
    return source, gain, hold


def n_held() -> int:
    return sum(map(len, Hold.items))


def test_a_change_holds_from_the_index_that_it_returns(chain, until, caplog) -> None:
    source, gain, hold = chain
    caplog.set_level(logging.INFO)
    for node in (hold, gain, source):
        node.start()
    wanted = []
    for level, factor in ((1.0, 2.0), (1.0, 3.0), (5.0, 3.0)):
        assert source.change(level=level) == len(wanted)
        assert gain.change(gain=factor) == len(wanted)
        Steps.go.release(3)
        wanted += [level * factor] * 30
        until(lambda: n_held() == len(wanted))  # noqa: B023  called at once
    for node in (source, gain, hold):
        node.stop()
    np.testing.assert_array_equal(concatenate(Hold.items), wanted)
    assert (source.status().settings["level"], gain.status().settings["gain"]) == (5.0, 3.0)
    assert "node gain changed from sample 30 of 'in' on: gain=3.0" in caplog.messages


def test_refusals_change_nothing_and_the_node_runs_on(chain, until) -> None:
    source, gain, hold = chain
    for node in (hold, gain, source):
        node.start()
    with pytest.raises(ConfigurationError, match=r"size cannot change .*live are: level"):
        source.change(size=3)
    with pytest.raises(ConfigurationError, match="level='loud'"):
        source.change(level="loud")
    with pytest.raises(ConfigurationError, match="not 13"):
        gain.change(gain=13)
    Steps.go.release(2)
    until(lambda: n_held() == 20)
    assert {gain.state, source.state} == {State.RUNNING}
    assert gain.status().settings == {"gain": 2.0}


def test_a_node_that_does_not_run_takes_it_for_its_next_start(chain, until) -> None:
    source, gain, hold = chain
    assert gain.change(gain=5.0) is None
    assert source.change(level=1.0) is None
    for node in (hold, gain, source):
        node.start()
    Steps.go.release()
    until(lambda: n_held() == 10)
    np.testing.assert_array_equal(concatenate(Hold.items), np.full(10, 5.0))


def test_what_is_not_configured_has_nothing_to_change(make_nodes) -> None:
    node = make_nodes(Gain)("Gain", "gain")
    with pytest.raises(LifecycleError, match=r"cannot change a node that is created .legal now: configure"):
        node.change(gain=1.0)
    assert node.settings_schema()["properties"]["gain"]["live"] is True
    node.close()
    with pytest.raises(LifecycleError, match="closed"):
        node.change(gain=1.0)


def test_a_hook_that_fails_is_a_fault_and_configure_brings_it_back(chain, caplog) -> None:
    source, gain, _ = chain
    source.start()
    gain.start()
    with pytest.raises(LifecycleError, match="faulted while its settings were changed: OSError: unplugged"):
        gain.change(gain=666)
    assert gain.state is State.FAULTED
    assert "Traceback" in caplog.text
    with pytest.raises(LifecycleError, match="legal now: configure, close"):
        gain.change(gain=1.0)
    gain.configure()
    gain.initialize()
    gain.start()
    assert source.state is State.RUNNING


def test_a_source_that_comes_to_its_end_meanwhile_takes_it_all_the_same(chain, until) -> None:
    source, *_ = chain
    source.start()
    Steps.over = True
    assert source.change(level=3.0) in (0, None)
    until(lambda: source.state is State.READY)
    assert source.change(level=4.0) is None
    assert source.status().settings["level"] == 4.0
