"""Converter, splitter, resizer and aligner between real devices and a sink, over encrypted streams."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, LifecycleError, StreamMismatch, UnknownName
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink, Transform
from pyacq_lab.model.stream import StreamSpec

MS = 10**6


class Keeper(Sink):
    """Keeps everything."""

    inputs = None
    items: list[tuple[str, Chunk | Gap]]
    specs: Mapping[str, StreamSpec]

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        type(self).items, type(self).specs = [], inputs

    def write(self, chunk: Chunk, name: str) -> None:
        self.items.append((name, chunk))

    def gap(self, gap: Gap, name: str) -> None:
        self.items.append((name, gap))


class Careless(Transform):
    """Gives samples at the end, and does not say where they belong."""

    def describe(self, inputs):
        return {"out": inputs["in"]}

    def process(self, chunk, name):
        return chunk.data

    def finish(self, name):
        return np.zeros((3, 2), "<i8")


@pytest.fixture
def make(make_nodes):
    return make_nodes(Keeper, Careless)


@pytest.fixture
def device(make):
    """``device(name, **settings)``: a `SimulatedDevice`, which counts at 1 kHz."""

    def device(name="device", **settings):
        node = make("SimulatedDevice", name)
        node.configure(**settings)
        return node

    return device


@pytest.fixture
def run(until):
    """Initialize nodes in order, start them in the other; stop all once the devices have come to an end."""

    def run(*nodes, devices=1):
        start(*nodes)
        until(lambda: all(node.state is State.READY for node in nodes[:devices]))
        for node in nodes[devices:]:
            node.stop()

    return run


def start(*nodes):
    for node in nodes:
        node.initialize()
    for node in reversed(nodes):
        node.start()


def kept(name, kind=Chunk):
    return [item for port, item in Keeper.items if port == name and isinstance(item, kind)]


def spans(items):
    return [(item.start, item.stop) for item in items]


def counters(start, stop, n_channels=2):
    return np.arange(start * n_channels, stop * n_channels).reshape(-1, n_channels)


def test_a_chain_of_converter_and_resizer(make, device, run):
    source = device(end_at=300, drop=((100, 130),), chunk_size=17)
    convert, resize, keep = (
        make("StreamConverter", "convert"),
        make("ChunkResizer", "resize"),
        make("Keeper", "k"),
    )
    convert.configure(dtype="float32", casting="round", byte_order="big")
    resize.configure(chunk_size=64)
    keep.configure()
    convert.connect("in", source.output_address("out"))
    resize.connect("in", convert.output_address("out"))
    keep.connect("raw", source.output_address("out"))
    keep.connect("made", resize.output_address("out"))
    run(source, convert, resize, keep)

    made, raw = kept("made"), kept("raw")
    assert spans(made) == [(0, 64), (64, 100), (130, 194), (194, 258), (258, 300)]
    assert spans(kept("made", Gap)) == [(100, 130)]
    assert Keeper.specs["made"].np_dtype == np.dtype(">f4")
    for chunk in made:
        np.testing.assert_array_equal(chunk.data, counters(chunk.start, chunk.stop))
        assert chunk.time_ns - made[0].time_ns == pytest.approx(chunk.start * MS, abs=10)
    assert made[0].time_ns == raw[0].time_ns


@pytest.mark.parametrize("kind", ["StreamConverter", "ChannelSplitter", "ChunkResizer"])
def test_a_gap_that_nothing_follows_is_told_all_the_same(make, device, run, kind):
    source, node, keep = device(end_at=50, drop=((40, 50),)), make(kind, "node"), make("Keeper", "keep")
    node.configure(**({"outputs": {"out": [":"]}} if kind == "ChannelSplitter" else {}))
    keep.configure()
    node.connect("in", source.output_address("out"))
    keep.connect("made", node.output_address("out"))
    run(source, node, keep)
    assert spans(kept("made", Gap)) == [(40, 50)]
    np.testing.assert_array_equal(np.concatenate([c.data for c in kept("made")]), counters(0, 40))


def test_a_splitter_has_the_outputs_that_its_settings_name(make, device, run):
    source = device(end_at=200, n_channels=4, drop=((50, 60),))
    split, keep = make("ChannelSplitter", "split"), make("Keeper", "keep")
    with pytest.raises(UnknownName, match="no output 'left'"):
        split.output_address("left")
    split.configure(outputs={"left": [0, 1], "old": [3]})
    address = split.output_address("left")
    split.configure(outputs={"left": ["1", 0], "right": ["3:"]})
    assert split.output_address("left") == address
    with pytest.raises(UnknownName, match=r"no output 'old' \(it has: left, right\)"):
        split.output_address("old")
    keep.configure()
    split.connect("in", source.output_address("out"))
    for name in ("left", "right"):
        keep.connect(name, split.output_address(name))
    run(source, split, keep)
    for name, columns in (("left", [1, 0]), ("right", [3])):
        assert spans(kept(name, Gap)) == [(50, 60)]
        assert Keeper.specs[name].names == tuple(str(c) for c in columns)
        for chunk in kept(name):
            np.testing.assert_array_equal(chunk.data, counters(chunk.start, chunk.stop, 4)[:, columns])


def test_names_of_ports_are_checked_before_anything_changes(make):
    split = make("ChannelSplitter", "split")
    split.configure(outputs={"a": [0]})
    with pytest.raises(ConfigurationError, match="name of a node's output: 'a/b'"):
        split.configure(outputs={"a": [0], "a/b": [1]})
    assert list(split.outputs) == ["a"]
    assert split.status().settings["outputs"] == {"a": [0]}


@pytest.fixture
def pair(make, device):
    """Two devices at 1000 and 250 Hz, aligned; all that they give is kept."""
    fast, slow = device("fast", n_channels=1), device("slow", n_channels=1, sample_rate=250.0)
    align, keep = make("StreamAligner", "align"), make("Keeper", "keep")
    keep.configure()

    def wire(**settings):
        align.configure(inputs={"fast": "reference", "slow": "nearest"}, **settings)
        align.connect("fast", fast.output_address("out"))
        align.connect("slow", slow.output_address("out"))
        keep.connect("fast", fast.output_address("out"))
        keep.connect("slow", slow.output_address("out"))
        keep.connect("made", align.output_address("out"))
        return fast, slow, align, keep

    return wire


def times_of(name, rate, epoch=0):
    """Time of each sample that came, by its index."""
    return {
        chunk.start + k: chunk.time_ns + round(k * 1e9 / rate)
        for chunk in kept(name)
        if chunk.epoch == epoch
        for k in range(len(chunk))
    }


def test_an_aligner_puts_samples_beside_those_of_the_same_time(pair, until):
    fast, slow, align, keep = pair()
    start(fast, slow, align, keep)
    until(lambda: sum(len(c) for c in kept("made")) > 400)
    for node in (fast, slow, align, keep):
        node.stop()
    fast_times, slow_times = times_of("fast", 1000.0), times_of("slow", 250.0)
    for chunk in kept("made"):
        assert chunk.time_ns == pytest.approx(fast_times[chunk.start], abs=10)
        for k, (a, b) in enumerate(chunk.data.tolist()):
            assert a == chunk.start + k
            assert abs(slow_times[b] - fast_times[a]) <= 2 * MS + 10
    assert Keeper.specs["made"].names == ("fast.0", "slow.0")
    account = align.status().inputs
    assert all(p.ledger.sent == p.ledger.received for p in account)


def test_the_reference_alone_makes_a_new_epoch(pair, until):
    fast, slow, align, keep = pair(missing="fill", fill_value=-1)
    start(fast, slow, align, keep)
    until(lambda: sum(len(c) for c in kept("made")) > 100)
    slow.stop()
    slow.start()
    until(lambda: any(chunk.epoch == 1 for chunk in kept("slow")))
    second = next(chunk for chunk in kept("slow") if chunk.epoch == 1)
    until(lambda: any(chunk.time_ns > second.time_ns + 100 * MS for chunk in kept("made")))
    assert {chunk.epoch for chunk in kept("made")} == {0}
    fast.stop()
    fast.start()
    until(lambda: any(chunk.epoch == 1 for chunk in kept("made")))
    for node in (fast, slow, align, keep):
        node.stop()
    for epoch in (0, 1):
        chunks = [chunk for chunk in kept("made") if chunk.epoch == epoch]
        assert chunks[0].start == 0
        assert all(a.stop == b.start for a, b in pairwise(chunks))
    assert any((chunk.data[:, 1] == -1).any() for chunk in kept("made"))  # while slow was away
    after = [c for c in kept("made") if c.epoch == 0 and c.time_ns > second.time_ns + 4 * MS]
    assert any((chunk.data[:, 1] >= 0).any() for chunk in after)


def test_an_aligner_wants_all_its_inputs(make, device):
    source, align = device(), make("StreamAligner", "align")
    align.configure(inputs={"a": "reference", "b": "linear"})
    align.connect("a", source.output_address("out"))
    with pytest.raises(LifecycleError, match="input 'b' is not connected"):
        align.initialize()
    with pytest.raises(UnknownName, match=r"no input 'c' \(it has: a, b\)"):
        align.connect("c", source.output_address("out"))
    align.configure(inputs={"a": "reference", "c": "nearest"})  # a stays connected
    align.connect("c", source.output_address("out"))
    align.initialize()
    assert align.output_spec("out").n_channels == 4


def test_what_cannot_be_aligned_is_refused_at_initialize(make, device):
    source, convert, align = device(), make("StreamConverter", "convert"), make("StreamAligner", "align")
    convert.configure(dtype="float32", casting="round")
    convert.connect("in", source.output_address("out"))
    align.configure(inputs={"a": "reference", "b": "linear"})
    align.connect("a", convert.output_address("out"))
    align.connect("b", source.output_address("out"))
    source.initialize()
    convert.initialize()
    with pytest.raises(StreamMismatch, match="input 'b' is int64"):
        align.initialize()
    assert align.state is State.CONFIGURED


def test_samples_at_the_end_without_a_place_are_a_fault(make, device, until):
    source, careless = device(end_at=20), make("Careless", "careless")
    careless.configure()
    careless.connect("in", source.output_address("out"))
    start(source, careless)
    until(lambda: careless.state is State.FAULTED)  # as soon as the source has come to its end
    with pytest.raises(LifecycleError, match=r"faulted, because of .* without saying where they belong"):
        careless.stop()
