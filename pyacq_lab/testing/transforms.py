"""What every transform must do."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing.checks import check, check_samples, is_same, random_cuts, random_samples
from pyacq_lab.testing.clock import ManualClock

Samples = dict[str, list[tuple[int, npt.NDArray[Any]]]]
"""For each output, what came: absolute index of the first sample, samples."""


class TransformContract:
    """Base of tests for a transform; subclass it and define `make`.

    Attributes
    ----------
    n_samples : int
        Length of the signals used; enough for the state to settle.
    rtol : float
        How far results may depend on the cuts, relative; 0: not by a bit.
    n_trials : int
        Number of random ways in which the stream is cut.

    Examples
    --------
    >>> class TestRectifier(TransformContract):
    ...     def make(self):
    ...         return Rectifier(RectifierSettings())
    """

    n_samples: int = 2000
    rtol: float = 0.0
    n_trials: int = 20

    def make(self) -> Transform:
        """Make a fresh transform."""
        raise NotImplementedError("define make(self) -> Transform in your test class")

    def inputs(self) -> Mapping[str, StreamSpec]:
        """Streams that it is tested on, for each of its inputs: by default 3 channels at 1 kHz."""
        return {name: StreamSpec(shape=(-1, 3), sample_rate=1000.0) for name in self.make().inputs}

    def signal(self, rng: np.random.Generator, spec: StreamSpec) -> npt.NDArray[Any]:
        """Make the samples it is tested on; by default noise."""
        return random_samples(rng, spec, self.n_samples)

    def ready(self) -> tuple[Transform, Mapping[str, StreamSpec]]:
        """Make a transform that knows its inputs, and its outputs' specs, as a node does."""
        transform = self.make()
        transform.clock = ManualClock()
        outputs = transform.describe(self.inputs())
        transform.reset()
        return transform, outputs

    def test_describe_is_stable(self) -> None:
        """The same inputs give the same outputs, and describing again starts afresh."""
        transform, outputs = self.ready()
        check(bool(outputs), "describe() names no output")
        check(dict(transform.describe(self.inputs())) == dict(outputs), "describe() changed its mind")

    def test_results_do_not_depend_on_the_cuts(self) -> None:
        """However the stream is cut into chunks, empty ones among them, the samples are the same."""
        for name, data in self._signals(seed=1).items():
            whole = self._joined(self._run(self.ready()[0], name, [Chunk(0, data)]))
            for trial in range(self.n_trials):
                cuts = random_cuts(np.random.default_rng(trial), len(data))
                parts = self._run(self.ready()[0], name, [Chunk(c.start, data[c]) for c in cuts])
                self._compare(self._joined(parts), whole, f"cut into {cuts}")

    def test_outputs_are_as_described(self) -> None:
        """Samples have the data type and shape announced, follow each other, and stay as they were given."""
        for name, data in self._signals(seed=2).items():
            transform, specs = self.ready()
            cuts = random_cuts(np.random.default_rng(2), len(data))
            kept: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []
            for cut in cuts:
                for output, pieces in self._run(transform, name, [Chunk(cut.start, data[cut])]).items():
                    check(output in specs, f"process() gave {output!r}, which describe() does not name")
                    for _, samples in pieces:
                        check_samples(samples, specs[output], f"output {output!r}")
                        kept.append((samples, samples.copy()))
            for samples, copy in kept:
                check(is_same(samples, copy), "process() wrote into what it had given before")

    def test_input_is_not_written_to(self) -> None:
        """Other readers share the chunk."""
        for name, data in self._signals(seed=3).items():
            before = data.copy()
            transform, _ = self.ready()
            self._run(transform, name, [Chunk(0, data)])  # raises ValueError where the array is read-only
            check(is_same(data, before), "process() wrote into its input")

    def test_reset_leaves_nothing_stale(self) -> None:
        """After `reset`, as at start, a new epoch or a gap, results are those of a fresh transform."""
        used, _ = self.ready()
        first, second = self._signals(seed=4), self._signals(seed=5)
        for name in first:
            self._run(used, name, [Chunk(0, first[name])])
            used.reset()
            got = self._joined(self._run(used, name, [Chunk(0, second[name])]))
            wanted = self._joined(self._run(self.ready()[0], name, [Chunk(0, second[name])]))
            self._compare(got, wanted, "after reset()")

    def test_it_goes_on_after_a_gap(self) -> None:
        """A chunk that does not follow the one before is placed where it belongs."""
        for name, data in self._signals(seed=6).items():
            transform, _ = self.ready()
            n, start = len(data) // 2, 10 * len(data)
            self._run(transform, name, [Chunk(0, data[:n])])
            if transform.at_gap == "reset":
                transform.reset()
            for output, pieces in self._run(transform, name, [Chunk(start, data[n:])]).items():
                for at, samples in pieces:
                    check(
                        not len(samples) or at >= start - self.n_samples,
                        f"output {output!r}: samples after a gap up to {start} were placed at {at}",
                    )

    def _signals(self, seed: int) -> dict[str, npt.NDArray[Any]]:
        signals: dict[str, npt.NDArray[Any]] = {}
        for number, (name, spec) in enumerate(self.inputs().items()):
            signals[name] = self.signal(np.random.default_rng([seed, number]), spec)
            signals[name].flags.writeable = False
        return signals

    def _run(self, transform: Transform, name: str, chunks: list[Chunk]) -> Samples:
        only = next(iter(self.make().describe(self.inputs())))
        got: Samples = {}
        for chunk in chunks:
            emitted: Any = transform.process(chunk, name)
            if not isinstance(emitted, Mapping):
                emitted = {only: emitted}
            for output, value in emitted.items():
                if value is None:
                    continue
                if not isinstance(value, Chunk):
                    check(
                        len(value) == len(chunk),
                        f"{len(value)} samples for a chunk of {len(chunk)}: a Chunk must say their place",
                    )
                    value = chunk.with_data(value)
                got.setdefault(output, []).append((value.start, value.data))
        return got

    @staticmethod
    def _joined(samples: Samples) -> dict[str, tuple[int, npt.NDArray[Any]]]:
        joined: dict[str, tuple[int, npt.NDArray[Any]]] = {}
        for output, pieces in samples.items():
            filled = [(at, data) for at, data in pieces if len(data)]
            for (at, data), (after, _) in pairwise(filled):
                check(at + len(data) == after, f"output {output!r}: {after} does not follow {at + len(data)}")
            if filled:
                joined[output] = filled[0][0], np.concatenate([data for _, data in filled])
        return joined

    def _compare(
        self,
        got: dict[str, tuple[int, npt.NDArray[Any]]],
        wanted: dict[str, tuple[int, npt.NDArray[Any]]],
        where: str,
    ) -> None:
        check(got.keys() == wanted.keys(), f"{where}: outputs {list(got)}, wanted {list(wanted)}")
        for output, (start, data) in wanted.items():
            check(
                got[output][0] == start, f"{where}: output {output!r} starts at {got[output][0]}, not {start}"
            )
            if self.rtol:
                np.testing.assert_allclose(got[output][1], data, rtol=self.rtol, err_msg=where)
            else:
                np.testing.assert_array_equal(got[output][1], data, err_msg=where)
