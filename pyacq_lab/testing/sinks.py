"""What every sink that keeps its samples must do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Sink
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing.checks import check, is_same, random_cuts, random_samples
from pyacq_lab.testing.clock import ManualClock

Pieces = list[tuple[int, npt.NDArray[Any]]]
"""Consecutive samples as read back: absolute index of the first, samples; a new piece after each gap."""


class SinkContract:
    """Base of tests for a sink whose samples can be read back; subclass it, define `make` and `read_back`.

    Attributes
    ----------
    n_samples : int
        Length of the signals written.
    n_restarts : int
        How often it is opened and closed.
    """

    n_samples: int = 1000
    n_restarts: int = 100

    def make(self, folder: Path) -> Sink:
        """Make a fresh sink that may write into this empty folder."""
        raise NotImplementedError("define make(self, folder) -> Sink in your test class")

    def read_back(self, folder: Path, name: str) -> list[Pieces]:
        """Read what was written of input ``name``: pieces of each start, in the order of starts."""
        raise NotImplementedError("define read_back(self, folder, name) in your test class")

    def inputs(self) -> Mapping[str, StreamSpec]:
        """Streams that are written: by default one of float64 and one of int16, of different rates."""
        return {
            "a": StreamSpec(shape=(-1, 3), sample_rate=1000.0),
            "b": StreamSpec.of(np.int16, shape=(-1, 1), sample_rate=250.0),
        }

    def ready(self, folder: Path) -> Sink:
        """Make a sink and give it its clock, as a node does."""
        sink = self.make(folder)
        sink.clock = ManualClock()
        return sink

    def test_what_is_written_reads_back(self, tmp_path: Path) -> None:
        """Sample by sample, from the first index on, however it was cut; and `flush` says how far."""
        specs = self.inputs()
        with closing(self.ready(tmp_path)) as sink:
            sink.open(specs)
            wanted = {name: self._write(sink, name, 12345, seed) for seed, name in enumerate(specs)}
            sink.flush()
        for name, data in wanted.items():
            self._compare(self.read_back(tmp_path, name), [[(12345, data)]])

    def test_flush_acknowledges_what_was_written(self, tmp_path: Path) -> None:
        """Never more than that, never less than before."""
        specs = self.inputs()
        with closing(self.ready(tmp_path)) as sink:
            sink.open(specs)
            sink.flush()
            name, spec = next(iter(specs.items()))
            data, before = random_samples(np.random.default_rng(0), spec, self.n_samples), 0
            for cut in random_cuts(np.random.default_rng(0), len(data)):
                sink.write(Chunk(cut.start, data[cut]), name)
                acknowledged = sink.flush().get(name, 0)
                check(
                    before <= acknowledged <= cut.stop, f"{acknowledged} acknowledged of {cut.stop} written"
                )
                before = acknowledged

    def test_a_gap_keeps_its_place(self, tmp_path: Path) -> None:
        """Samples on both sides stay where they were: nothing is joined over it."""
        specs = self.inputs()
        with closing(self.ready(tmp_path)) as sink:
            name = next(iter(specs))
            sink.open(specs)
            before = self._write(sink, name, 0, 1)
            sink.gap(Gap(len(before), len(before) + 77), name)
            after = self._write(sink, name, len(before) + 77, 2)
        self._compare(self.read_back(tmp_path, name), [[(0, before), (len(before) + 77, after)]])

    def test_it_starts_and_stops_many_times(self, tmp_path: Path) -> None:
        """No start touches what an earlier one wrote; closing twice or before opening is harmless."""
        specs = self.inputs()
        with closing(self.ready(tmp_path)) as sink:
            sink.close()
            name = next(iter(specs))
            wanted: list[Pieces] = []
            for seed in range(self.n_restarts):
                sink.open(specs)
                wanted.append([(0, self._write(sink, name, 0, seed))])
                sink.close()
                sink.close()
        self._compare(self.read_back(tmp_path, name), wanted)

    def test_a_new_epoch_is_not_joined(self, tmp_path: Path) -> None:
        """Indices that start again from 0 are another recording."""
        specs = self.inputs()
        with closing(self.ready(tmp_path)) as sink:
            name = next(iter(specs))
            sink.open(specs)
            wanted: list[Pieces] = [[(0, self._write(sink, name, 0, epoch, epoch))] for epoch in range(2)]
        self._compare(self.read_back(tmp_path, name), wanted)

    def _write(self, sink: Sink, name: str, start: int, seed: int, epoch: int = 0) -> npt.NDArray[Any]:
        rng = np.random.default_rng(seed)
        data = random_samples(rng, self.inputs()[name], self.n_samples)
        data.flags.writeable = False
        for cut in random_cuts(rng, len(data)):
            sink.write(Chunk(start + cut.start, data[cut], time_ns=sink.clock.now_ns(), epoch=epoch), name)
        return data

    @staticmethod
    def _compare(got: list[Pieces], wanted: list[Pieces]) -> None:
        places = [[(at, len(data)) for at, data in pieces] for pieces in got]
        expected = [[(at, len(data)) for at, data in pieces] for pieces in wanted]
        check(places == expected, f"read back (start, length) {places}, wanted {expected}")
        for pieces, expected_pieces in zip(got, wanted, strict=True):
            for (_, data), (_, written) in zip(pieces, expected_pieces, strict=True):
                check(is_same(data, written), "samples read back are not those that were written")
