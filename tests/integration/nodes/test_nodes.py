"""Nodes in one process: a source, a transform and a sink, each in its own thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import numpy as np
import pytest
from pydantic import Field

from pyacq_lab.errors import ConfigurationError, EndOfStream, LifecycleError, UnknownName
from pyacq_lab.model.chunk import Chunk, Gap, Reading, concatenate
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.roles import Sink, Source, Transform
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.node.registry import BUILT_IN, Registry
from pyacq_lab.recording import open_run
from pyacq_lab.transport.logs import current_node


class CounterSettings(Settings):
    count: int = Field(1000, ge=0, description="samples, then the end")
    lose_at: int = Field(-1, description="index at which 5 samples are lost")
    fail_at: int = Field(-1, description="index at which reading fails")
    fail_open: bool = Field(False, description="whether opening fails")


class Counter(Source):
    """Counts; waits for its readers."""

    settings_type = CounterSettings
    waits = True
    closed = 0

    def describe(self) -> Mapping[str, StreamSpec]:
        return {"out": StreamSpec.of("<i8", shape=(-1,), sample_rate=1000.0, buffer_size=500)}

    def open(self) -> None:
        if self.settings.fail_open:
            raise OSError("no such device")
        self.at = 0

    def read(self, timeout: float) -> Reading:
        if self.at >= self.settings.count:
            raise EndOfStream("counted")
        if self.at == self.settings.fail_at:
            raise OSError("unplugged")
        lost = 5 if self.at == self.settings.lose_at else 0
        data = np.arange(self.at + lost, self.at + lost + 10)
        self.at += lost + 10
        return Reading(data, lost=lost)

    def close(self) -> None:
        type(self).closed += 1


class Doubler(Transform):
    """Doubles."""

    resets = 0

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        return {"out": inputs["in"]}

    def process(self, chunk: Chunk, name: str) -> np.ndarray:
        return chunk.data * 2

    def reset(self) -> None:
        type(self).resets += 1


class Keeper(Sink):
    """Keeps everything."""

    inputs = None
    items: list[tuple[str, Chunk | Gap]]
    threads: set[str]

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        type(self).items, type(self).threads = [], set()

    def write(self, chunk: Chunk, name: str) -> None:
        self.items.append((name, chunk))
        self.threads.add(current_node.get())

    def gap(self, gap: Gap, name: str) -> None:
        self.items.append((name, gap))

    def flush(self) -> Mapping[str, int]:
        return {name: item.stop for name, item in self.items}


@pytest.fixture
def make(make_nodes):
    return make_nodes(Counter, Doubler, Keeper)


@pytest.fixture
def chain(make):
    source, double, keep = make("Counter", "source"), make("Doubler", "double"), make("Keeper", "keep")
    keep.configure()
    double.configure()

    def wire(**settings):
        source.configure(**settings)
        double.connect("in", source.output_address("out"))
        keep.connect("raw", source.output_address("out"))
        keep.connect("doubled", double.output_address("out"))
        for node in (source, double, keep):
            node.initialize()
        for node in (keep, double, source):
            node.start()
        return source, double, keep

    return wire


def kept(name: str) -> list[Chunk | Gap]:
    return [item for port, item in Keeper.items if port == name]


def test_a_chain_loses_nothing_and_stops_in_order(chain, until) -> None:
    source, double, keep = chain(count=5000)
    until(lambda: source.state is State.READY)  # it came to its end by itself
    double.stop()
    keep.stop()
    np.testing.assert_array_equal(concatenate(kept("raw")), np.arange(5000))
    np.testing.assert_array_equal(concatenate(kept("doubled")), np.arange(5000) * 2)
    assert Keeper.threads == {"keep"}
    status = keep.status()
    assert [p.written for p in status.inputs] == [5000, 5000]
    assert all(p.ledger.sent == p.ledger.received == 5000 for p in status.inputs)


def test_lost_samples_become_the_same_gap_everywhere(chain, until) -> None:
    source, double, keep = chain(count=500, lose_at=100)
    until(lambda: source.state is State.READY)
    double.stop()
    keep.stop()
    for name in ("raw", "doubled"):
        (gap,) = [i for i in kept(name) if isinstance(i, Gap)]
        assert (gap.start, gap.stop, gap.reason) == (100, 105, "overrun")
        assert kept(name)[-1].stop == 505 or kept(name)[-1].stop == 500
    assert all(p.ledger.dropped == 0 for p in keep.status().inputs)


def test_starting_again_begins_a_new_epoch(chain, until) -> None:
    source, double, keep = chain(count=100)
    until(lambda: source.state is State.READY)
    source.start()
    until(lambda: source.state is State.READY)
    double.stop()
    keep.stop()
    for name in ("raw", "doubled"):
        assert {item.epoch for item in kept(name)} == {0, 1}
        for epoch in (0, 1):
            chunks = [i for i in kept(name) if i.epoch == epoch]
            assert (chunks[0].start, chunks[-1].stop) == (0, 100)


def test_a_broken_device_is_a_fault_that_neighbours_survive(chain, until, caplog) -> None:
    closed = Counter.closed
    with caplog.at_level(logging.ERROR):
        source, double, keep = chain(count=1000, fail_at=300)
        until(lambda: source.state is State.FAULTED)
    assert source.status().reason == "OSError: unplugged"
    assert "unplugged" in caplog.text
    assert "Traceback" in caplog.text
    assert Counter.closed == closed + 1
    assert double.state is keep.state is State.RUNNING
    with pytest.raises(LifecycleError, match="legal now: configure, close"):
        source.start()
    double.stop()
    keep.stop()
    np.testing.assert_array_equal(concatenate(kept("raw")), np.arange(300))
    source.configure(count=10)
    source.initialize()
    source.start()
    until(lambda: source.state is State.READY)


def test_a_device_that_does_not_open_says_so_to_whoever_starts_it(make) -> None:
    source = make("Counter", "source")
    source.configure(fail_open=True)
    source.initialize()
    with pytest.raises(LifecycleError, match="no such device"):
        source.start()
    assert source.state is State.FAULTED


def test_refused_commands_change_nothing(make) -> None:
    source, keep = make("Counter", "source"), make("Keeper", "keep")
    for command in ("initialize", "start", "stop"):
        with pytest.raises(LifecycleError, match="created"):
            getattr(source, command)()
    with pytest.raises(ConfigurationError, match="count=-1"):
        source.configure(count=-1)
    with pytest.raises(ConfigurationError, match="unknown setting 'cuont'"):
        source.configure(cuont=1)
    assert source.state is State.CREATED
    source.configure(count=7)
    with pytest.raises(ConfigurationError):
        source.configure(count="many")
    assert source.status().settings["count"] == 7
    with pytest.raises(UnknownName, match="no output 'nout'"):
        source.output_address("nout")
    with pytest.raises(UnknownName, match="no input 'in'"):
        source.connect("in", source.output_address("out"))
    keep.configure()
    with pytest.raises(LifecycleError, match="connect an input first"):
        keep.initialize()
    source.close()
    source.close()
    with pytest.raises(LifecycleError, match="closed"):
        source.configure()


def test_connecting_is_refused_where_buffers_are_sized(chain, until) -> None:
    source, double, _ = chain(count=10)
    with pytest.raises(LifecycleError, match="configure it again"):
        double.connect("in", source.output_address("out"))


def test_close_while_running_and_request_stop_from_elsewhere(chain, until) -> None:
    source, double, keep = chain(count=10**9)
    threading.Thread(target=double.request_stop).start()
    until(lambda: double.state is State.READY)
    assert source.state is State.RUNNING
    source.close()
    assert source.state is State.CLOSED
    keep.close()


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_type_can_be_made(make, name) -> None:
    assert make(name, "x").component_type.__name__ == name


def test_unknown_types_suggest_the_nearest(make) -> None:
    with pytest.raises(UnknownName, match="did you mean 'Replay'"):
        make("Reply", "x")
    registry = Registry()
    with pytest.raises(UnknownName, match="no class"):
        registry.register_from_module("pyacq_lab.devices", "Nothing")
    with pytest.raises(ConfigurationError, match="subclass of Source"):
        registry.register(int)


def test_a_recording_says_what_its_connections_have_lost(make, until, tmp_path) -> None:
    source, recorder = make("Counter", "source"), make("Recorder", "recorder")
    recorder.configure(path=str(tmp_path / "run"))
    source.configure(count=5000)
    recorder.connect("numbers", source.output_address("out"))
    for node in (source, recorder):
        node.initialize()
    for node in (recorder, source):
        node.start()
    until(lambda: source.state is State.READY)
    recorder.stop()
    ledger = open_run(tmp_path / "run").ledger("numbers")
    assert (ledger.sent, ledger.received, ledger.dropped, ledger.pending) == (5000, 5000, 0, 0)
    assert ledger.transfermode == "sharedmem"
    assert str(recorder.status().inputs[0]) == "5000 samples, 0 samples/s by shared memory"
    assert str(source.status().outputs[0]) == "5000 samples, 0 readers, transfermode auto"


class Resumer(Keeper):
    """Notes where epochs begin, and goes on where it is told."""

    began: list[tuple[str, StreamPlace]]
    goes_on: Mapping[str, StreamPlace] = {}

    @classmethod
    def kept(cls) -> list[Chunk | Gap]:
        return [item for _, item in cls.items]

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        super().open(inputs)
        type(self).began = []

    def places(self) -> Mapping[str, StreamPlace]:
        return self.goes_on

    def begin(self, name: str, place: StreamPlace, epoch: int) -> None:
        assert not [item for item in self.kept() if item.epoch == epoch]
        self.began.append((name, place))


def test_a_sink_goes_on_where_another_one_was(make_nodes, until, monkeypatch) -> None:
    make = make_nodes(Counter, Resumer)
    source, first, second = make("Counter", "source"), make("Resumer", "first"), make("Resumer", "second")
    source.configure(count=300)
    first.configure()
    second.configure()
    for node in (first, second):
        node.connect("raw", source.output_address("out"))
    for node in (source, first, second):
        node.initialize()
    first.start()
    source.start()
    until(lambda: source.state is State.READY)
    first.stop()
    ((name, place),) = Resumer.began
    assert (name, place.epoch, place.start) == ("raw", 0, 0)
    since = StreamPlace(place.nonce, 0, 120)
    monkeypatch.setattr(Resumer, "goes_on", {"raw": since, "never connected": since})
    second.start()
    until(lambda: Resumer.kept() and Resumer.kept()[-1].stop == 300)
    source.start()
    until(lambda: Resumer.kept()[-1].epoch == 1)
    second.stop()
    assert [place for _, place in Resumer.began] == [since, StreamPlace(place.nonce, 1, 0)]
    kept_before = [item for item in Resumer.kept() if item.epoch == 0]
    np.testing.assert_array_equal(concatenate(kept_before), np.arange(120, 300))
