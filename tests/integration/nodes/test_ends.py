"""Ends and gaps travel through transforms: what was held back goes out, and whoever reads hears of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from pyacq_lab.errors import EndOfStream
from pyacq_lab.model.chunk import Chunk, Gap, Reading
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.roles import Sink, Source, Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec


class TapeSettings(Settings):
    readings: list[tuple[int, int]] = setting(description="samples lost before a reading, and samples in it")


class Tape(Source):
    """Gives readings as they are written on it, then comes to its end."""

    settings_type = TapeSettings
    waits = True

    def describe(self) -> Mapping[str, StreamSpec]:
        return {"out": StreamSpec(shape=(-1, 1), sample_rate=1000.0)}

    def open(self) -> None:
        self.left = list(self.settings.readings)

    def read(self, timeout: float) -> Reading:
        if not self.left:
            raise EndOfStream("of the tape")
        lost, count = self.left.pop(0)
        return Reading(np.ones((count, 1)), lost=lost)


class Pairs(Transform):
    """Half the rate: the mean of each two samples."""

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        return {"out": inputs["in"].replace(sample_rate=500.0)}

    def process(self, chunk: Chunk, name: str) -> Chunk:
        return Chunk(chunk.start // 2, chunk.data.reshape(-1, 2, 1).mean(axis=1), chunk.time_ns)


class Diary(Sink):
    """Notes what it is told, in order."""

    inputs = None
    notes: list[tuple]

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        Diary.notes = []

    def write(self, chunk: Chunk, name: str) -> None:
        Diary.notes.append((name, chunk.epoch, chunk.start, chunk.stop))

    def gap(self, gap: Gap, name: str) -> None:
        Diary.notes.append((name, gap.epoch, gap.start, gap.stop, gap.reason))

    def finish(self, name: str) -> None:
        Diary.notes.append((name, "finish"))


def notes_of(name: str) -> list[tuple]:
    return [note[1:] for note in Diary.notes if note[0] == name]


@pytest.fixture
def wire(make_nodes):
    """Wire a tape through transforms, all side by side, into one diary; it and they run."""
    make = make_nodes(Tape, Pairs, Diary)

    def wire(readings, transfermode="auto", **transforms):
        tape, diary = make("Tape", "tape"), make("Diary", "diary")
        tape.configure(readings=readings)
        diary.configure()
        nodes = []
        for name, (kind, settings) in transforms.items():
            node = make(kind, name)
            node.configure(**settings)
            node.connect("in", tape.output_address("out"), transfermode=transfermode)
            diary.connect(name, node.output_address("out"), transfermode=transfermode)
            nodes.append(node)
        tape.initialize()
        for node in nodes:
            node.initialize()
        diary.initialize()
        for node in (diary, *nodes):
            node.start()
        return tape, nodes, diary

    return wire


@pytest.mark.parametrize("transfermode", ["auto", "plaindata"])
def test_what_was_held_back_goes_out_when_the_source_ends(wire, until, transfermode) -> None:
    resizer = "ChunkResizer", {"chunk_size": 50}
    tape, (resize,), diary = wire([(0, 30)] * 3, transfermode, resize=resizer)
    for epoch in range(2):
        tape.start()
        until(lambda: notes_of("resize").count(("finish",)) == epoch + 1)  # noqa: B023  called at once
        assert notes_of("resize")[-3:] == [(epoch, 0, 50), (epoch, 50, 90), ("finish",)]
    assert {resize.state, diary.state} == {State.RUNNING}
    for node in (resize, diary):
        node.stop()
    assert len(notes_of("resize")) == 6  # what is over is not finished again at stop


def test_an_end_comes_through_a_chain_and_a_stop_counts_as_one(wire, until) -> None:
    tape, (keep,), diary = wire([(0, 10)], keep=("MovingMean", {}))
    keep.stop()
    tape.start()
    until(lambda: tape.state is State.READY)
    diary.stop()
    assert notes_of("keep") == []  # nothing began, so nothing is over


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("SosFilter", {"high": 40.0}), ("MovingMean", {}), ("ChunkResizer", {}), ("StreamConverter", {})],
)
def test_gaps_keep_place_and_reason_and_a_last_one_is_told(wire, until, kind, settings) -> None:
    tape, *_ = wire([(0, 20), (5, 20), (7, 0)], it=(kind, settings))
    tape.start()
    until(lambda: ("finish",) in notes_of("it"))
    wanted = [(0, 0, 20), (0, 20, 25, "overrun"), (0, 25, 45), (0, 45, 52, "overrun"), ("finish",)]
    assert notes_of("it") == wanted


def test_a_gap_is_not_told_where_indices_count_something_else(wire, until) -> None:
    tape, *_ = wire([(0, 20), (10, 20), (8, 0)], half=("Pairs", {}))
    tape.start()
    until(lambda: ("finish",) in notes_of("half"))
    assert notes_of("half") == [(0, 0, 10), (0, 10, 15, "overrun"), (0, 15, 25), ("finish",)]


def test_with_several_inputs_all_must_end(make_nodes, until) -> None:
    make = make_nodes(Tape, Diary)
    tapes = [make("Tape", name) for name in ("one", "two")]
    align, diary = make("StreamAligner", "align"), make("Diary", "diary")
    align.configure(inputs={"a": "reference", "b": "nearest"}, tolerance=1e9, latency=1e6)
    diary.configure()
    for tape, name in zip(tapes, "ab", strict=True):
        tape.configure(readings=[(0, 50)])
        align.connect(name, tape.output_address("out"))
    diary.connect("all", align.output_address("out"))
    for node in (*tapes, align, diary):
        node.initialize()
    for node in (diary, align):
        node.start()
    tapes[1].start()
    until(lambda: align.status().inputs[1].samples == 50)
    assert notes_of("all") == []
    tapes[0].start()
    until(lambda: ("finish",) in notes_of("all"))
    assert notes_of("all")[-2][-1] == 50
