"""Filter, trigger, epochs and a resampler between a device and a sink, over encrypted streams."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink
from pyacq_lab.model.stream import StreamSpec

RATE = 1000.0


class Collector(Sink):
    """Keeps everything."""

    inputs = None
    items: list[tuple[str, Chunk | Gap]]

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        type(self).items = []

    def write(self, chunk: Chunk, name: str) -> None:
        self.items.append((name, chunk))

    def gap(self, gap: Gap, name: str) -> None:
        self.items.append((name, gap))


@pytest.fixture
def make(make_nodes):
    return make_nodes(Collector)


def got(name, kind=Chunk):
    return [item for port, item in Collector.items if port == name and isinstance(item, kind)]


def start(*nodes):
    for node in nodes:
        node.initialize()
    for node in reversed(nodes):
        node.start()


def test_a_pulse_is_cut_out_of_the_raw_signal_where_it_was(make, until):
    pulses = np.zeros((3000, 2))
    places = [700, 1500, 2300]
    for place in places:
        pulses[:, 0] += np.exp(-(((np.arange(3000) - place) / 10.0) ** 2))
    source, fir = make("ArraySource", "source"), make("FirFilter", "fir")
    trigger, cut, keep = (
        make("AnalogTrigger", "trigger"),
        make("EpochAccumulator", "cut"),
        make("Collector", "k"),
    )
    source.configure(data=pulses, sample_rate=RATE, realtime=False)
    fir.configure(high=100.0, n_taps=101)
    trigger.configure(threshold=0.5, channels=[0], edge="both")
    cut.configure(before=0.05, after=0.05, codes=[1])
    keep.configure()
    for node, name, producer in ((fir, "in", source), (trigger, "in", fir), (cut, "in", source)):
        node.connect(name, producer.output_address("out"))
    cut.connect("events", trigger.output_address("out"))
    keep.connect("epochs", cut.output_address("out"))
    keep.connect("events", trigger.output_address("out"))
    start(source, fir, trigger, cut, keep)
    until(lambda: source.state is State.READY)
    for node in (fir, trigger, cut, keep):
        node.stop()
    events = np.concatenate([chunk.data for chunk in got("events")])
    assert got("events")[0].start == 0
    np.testing.assert_allclose(events["index"].reshape(3, 2).mean(axis=1) - 50, places, atol=1)
    epochs = np.concatenate([chunk.data for chunk in got("epochs")])
    assert [chunk.start for chunk in got("epochs")] == [0, 1, 2]
    assert not got("epochs", Gap)
    for epoch, place in zip(epochs, places, strict=True):
        # Where the filtered signal rises, the raw one did, less the delay.
        np.testing.assert_array_equal(epoch["data"], pulses[epoch["index"] - 50 : epoch["index"] + 50])
        assert abs(epoch["data"][:, 0].argmax() + epoch["index"] - 50 - place) == 0
        assert abs(epoch["data"][50, 0] - 0.5) < 0.1


def test_another_rate_has_indices_of_its_own_from_wherever_it_begins(make, until):
    """A resampler that joins late, and meets a gap and a restart, gives samples their own indices."""
    source, slow, keep = (
        make("SimulatedDevice", "device"),
        make("Resample", "slow"),
        make("Collector", "keep"),
    )
    source.configure(sample_rate=RATE, n_channels=1, drop=((1500, 1600),), end_at=2000)
    slow.configure(sample_rate=250.0)
    keep.configure()
    slow.connect("in", source.output_address("out"))
    keep.connect("slow", slow.output_address("out"))
    source.initialize()
    source.start()
    until(lambda: source.status().outputs[0].stop > 300)
    start(slow, keep)
    until(lambda: source.state is State.READY)
    source.start()
    until(lambda: any(chunk.epoch == 1 and chunk.stop > 100 for chunk in got("slow")))
    for node in (source, slow, keep):
        node.stop()
    first = [chunk for chunk in got("slow") if chunk.epoch == 0]
    assert first[0].start * 4 >= 300
    assert first[-1].stop == 500
    gaps = [(gap.start, gap.stop) for gap in got("slow", Gap) if gap.epoch == 0]
    assert gaps == [(375, 400)]
    for chunk in first:
        index = np.arange(chunk.start, chunk.stop)
        middle = (index > first[0].start + 30) & (abs(index - 387) > 40) & (index < 470)
        np.testing.assert_allclose(chunk.data[middle, 0], 4.0 * index[middle], atol=0.1)
    second = [chunk for chunk in got("slow") if chunk.epoch == 1]
    assert second[0].start == 0
