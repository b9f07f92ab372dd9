"""What every transform must do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Made, Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing.checks import check, check_samples, is_same, random_cuts, random_samples
from pyacq_lab.testing.clock import ManualClock

Pieces = dict[str, list[Chunk]]
"""For each output, what came."""

Signals = Mapping[str, npt.NDArray[Any]]
"""For each input, its samples."""

Step = tuple[str, Chunk]
"""A chunk for an input."""

_BEGIN_NS = 1_700_000_000_000_000_000
_ROUNDING_NS = 4


class Collected:
    """What a transform gave, and a copy of how it was when it was given."""

    def __init__(self) -> None:
        self.pieces: Pieces = {}
        self._copies: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []

    def add(self, pieces: Pieces) -> None:
        """Take what one call gave."""
        for output, chunks in pieces.items():
            self.pieces.setdefault(output, []).extend(chunks)
            self._copies.extend((chunk.data, chunk.data.copy()) for chunk in chunks)

    def are_unchanged(self) -> bool:
        """Whether all of it is still as it was."""
        return all(is_same(data, copy) for data, copy in self._copies)


class TransformContract:
    """Base of tests for a transform; subclass it and define `make`.

    Where there are several inputs, their chunks come in any order; one input may be as far ahead of another
    as the signals are long.

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
        return {name: StreamSpec(shape=(-1, 3), sample_rate=1000.0) for name in self.make().input_names()}

    def live(self) -> Mapping[str, Any]:
        """Other values of live settings, to which they are changed halfway; give some if there are any."""
        return {}

    def signal(self, rng: np.random.Generator, spec: StreamSpec) -> npt.NDArray[Any]:
        """Make the samples it is tested on; by default noise."""
        return random_samples(rng, spec, self.n_samples)

    def ready(self) -> tuple[Transform, Mapping[str, StreamSpec]]:
        """Make a transform that knows its inputs, and its outputs' specs, as a node does."""
        transform = self.make()
        transform.clock = ManualClock()
        inputs = self.inputs()
        outputs = transform.describe(inputs)
        transform.reset()
        self._names = transform.output_names()
        first = inputs[transform.input_names()[0]]
        self._in_step = [n for n in self._names if n in outputs and first.shares_indices(outputs[n])]
        self._told: dict[str, int] = {}  # how far each output is accounted for
        return transform, outputs

    def test_describe_is_stable(self) -> None:
        """The same inputs give the same outputs, those that it names, and describing again starts afresh."""
        transform, outputs = self.ready()
        names = list(transform.output_names())
        check(
            sorted(outputs) == sorted(names), f"describe() names the outputs {list(outputs)}; wanted {names}"
        )
        check(dict(transform.describe(self.inputs())) == dict(outputs), "describe() changed its mind")

    def test_results_do_not_depend_on_the_cuts(self) -> None:
        """However the streams are cut into chunks, empty ones among them, the samples are the same."""
        signals = self._signals(seed=1)
        whole = self._joined(self._run(self.ready()[0], self._whole(signals), finish=True))
        for trial in range(self.n_trials):
            steps = self._cut(signals, seed=trial)
            parts = self._run(self.ready()[0], steps, finish=True)
            sizes = [(name, len(chunk)) for name, chunk in steps]
            self._compare(self._joined(parts), whole, f"cut into {sizes}")

    def test_a_live_change_holds_from_its_index_on(self) -> None:
        """Given where it comes, results do not depend on the cuts; and it makes a difference."""
        live, names = self.live(), self.make().settings_type.live_names()
        check(
            bool(live) or not names,
            f"live settings: {', '.join(names)}; define live(self) -> {{name of one: another value}}",
        )
        if not live:
            return
        signals = self._signals(seed=7)
        starts = {name: len(data) // 2 for name, data in signals.items()}
        before = {name: data[: starts[name]] for name, data in signals.items()}
        after = {name: data[starts[name] :] for name, data in signals.items()}

        def result(first: list[Step], then: list[Step], values: Mapping[str, Any]) -> dict[str, Any]:
            transform, _ = self.ready()
            got = Collected()
            got.add(self._run(transform, first))
            transform.change(transform.settings.changed(**values))
            got.add(self._run(transform, then, finish=True))
            return self._joined(got.pieces)

        whole = result(self._whole(before), self._whole(after, starts), live)
        for trial in range(self.n_trials):
            steps = self._cut(before, trial), self._cut(after, trial + 1, starts)
            self._compare(result(*steps, live), whole, f"changed at {starts}")
        unchanged = result(self._whole(before), self._whole(after, starts), {})
        check(
            any(not is_same(unchanged[output][1], data) for output, (_, data) in whole.items()),
            f"{dict(live)} changed nothing",
        )

    def test_outputs_are_as_described(self) -> None:
        """Samples have the data type and shape announced, follow each other, and stay as they were given."""
        transform, specs = self.ready()
        got = Collected()
        for step in self._cut(self._signals(seed=2), seed=2):
            got.add(self._run(transform, [step]))
        got.add(self._finish(transform))
        for output, chunks in got.pieces.items():
            check(output in specs, f"process() gave {output!r}, which describe() does not name")
            for chunk in chunks:
                check_samples(chunk.data, specs[output], f"output {output!r}")
        check(got.are_unchanged(), "process() wrote into what it had given before")

    def test_times_follow_the_indices(self) -> None:
        """The time of each chunk is that of its first sample, wherever the stream was cut."""
        transform, specs = self.ready()
        pieces = self._run(transform, self._cut(self._signals(seed=7), seed=7), finish=True)
        for output, spec in specs.items():
            if spec.streamtype == "event":
                continue  # their indices count them, and say nothing of time
            chunks = [chunk for chunk in pieces.get(output, ()) if len(chunk)]
            begins = [c.time_ns - round(c.start * 1e9 / spec.sample_rate) for c in chunks]
            check(
                not begins or max(begins) - min(begins) <= _ROUNDING_NS,
                f"output {output!r}: by its chunks' times, sample 0 was at anything from "
                f"{min(begins, default=0)} to {max(begins, default=0)} ns",
            )

    def test_input_is_not_written_to(self) -> None:
        """Other readers share the chunk."""
        signals = self._signals(seed=3)
        before = {name: data.copy() for name, data in signals.items()}
        # Raises ValueError where the transform writes: the arrays are read-only.
        self._run(self.ready()[0], self._whole(signals))
        for name, data in signals.items():
            check(is_same(data, before[name]), "process() wrote into its input")

    def test_reset_leaves_nothing_stale(self) -> None:
        """After `reset`, as at start or at a gap, results are those of a fresh transform."""
        self._check_fresh_after(lambda transform: transform.reset(), "reset()")

    def test_it_starts_and_stops_many_times(self) -> None:
        """The last of a hundred runs gives what the first one gave."""
        transform, _ = self.ready()
        steps = self._cut(self._signals(seed=9), seed=9)
        first = self._joined(self._run(transform, steps, finish=True))
        short = [(name, self._chunk(name, 0, chunk.data[:3])) for name, chunk in steps[:5]]
        for _ in range(98):
            transform.close()
            transform.close()
            transform.reset()
            self._run(transform, short)
            self._finish(transform)
        transform.close()
        transform.reset()
        self._compare(self._joined(self._run(transform, steps, finish=True)), first, "the hundredth run")

    def test_finish_leaves_nothing_stale(self) -> None:
        """After `finish`, as at a new epoch, results are those of a fresh transform."""
        self._check_fresh_after(self._finish, "finish()")

    def test_it_goes_on_after_a_gap(self) -> None:
        """A chunk that does not follow the one before is placed where it belongs."""
        signals, starts = self._signals(seed=6), dict[str, int]()
        transform, specs = self.ready()
        rate = next(iter(self.inputs().values())).sample_rate
        halves = {name: len(data) // 2 for name, data in signals.items()}
        steps = self._whole({name: data[: halves[name]] for name, data in signals.items()})
        self._run(transform, steps)
        for name, data in signals.items():
            starts[name] = 10 * len(data)
            self._collect(transform.gap(Gap(halves[name], starts[name]), name))
        after = [(n, self._chunk(n, starts[n], data[halves[n] :])) for n, data in signals.items()]
        for output, chunks in self._run(transform, after).items():
            if output not in specs or specs[output].streamtype == "event":
                continue
            ratio = specs[output].sample_rate / rate
            start = min(starts.values()) * ratio
            for chunk in chunks:
                check(
                    not len(chunk) or chunk.start >= start - self.n_samples * ratio,
                    f"output {output!r}: samples after a gap up to {start:g} were placed at {chunk.start}",
                )

    def test_a_gap_that_nothing_follows_is_told(self) -> None:
        """At the end of the streams at the latest: outputs of the first input's rate are as long as it is."""
        signals = self._signals(seed=8)
        transform, _ = self.ready()
        self._run(transform, self._whole(signals))
        for name, data in signals.items():
            self._collect(transform.gap(Gap(len(data), 2 * len(data)), name))
        self._finish(transform)
        wanted = 2 * len(next(iter(signals.values())))
        for output in self._in_step:
            told = self._told.get(output, 0)
            check(
                told == wanted,
                f"output {output!r} is accounted for up to {told}, the input up to {wanted}: return the gap",
            )

    def _check_fresh_after(self, clean: Callable[[Transform], object], what: str) -> None:
        used, _ = self.ready()
        second = self._whole(self._signals(seed=5))
        self._run(used, self._whole(self._signals(seed=4)))
        clean(used)
        got = self._joined(self._run(used, second, finish=True))
        wanted = self._joined(self._run(self.ready()[0], second, finish=True))
        self._compare(got, wanted, f"after {what}")

    # --- what goes in

    def _signals(self, seed: int) -> dict[str, npt.NDArray[Any]]:
        signals: dict[str, npt.NDArray[Any]] = {}
        for number, (name, spec) in enumerate(self.inputs().items()):
            signals[name] = self.signal(np.random.default_rng([seed, number]), spec)
            signals[name].flags.writeable = False
        return signals

    def _chunk(self, name: str, start: int, data: npt.NDArray[Any]) -> Chunk:
        return Chunk(start, data, _BEGIN_NS + round(start * 1e9 / self.inputs()[name].sample_rate), 1000)

    def _whole(self, signals: Signals, starts: Mapping[str, int] | None = None) -> list[Step]:
        at = starts or {}
        return [(name, self._chunk(name, at.get(name, 0), data)) for name, data in signals.items()]

    def _cut(self, signals: Signals, seed: int, starts: Mapping[str, int] | None = None) -> list[Step]:
        """Cut each signal, and mix their chunks: each keeps its own order."""
        rng, at = np.random.default_rng(seed), starts or {}
        waiting = {
            name: deque(
                self._chunk(name, at.get(name, 0) + c.start, data[c]) for c in random_cuts(rng, len(data))
            )
            for name, data in signals.items()
        }
        turns = rng.permutation([name for name, chunks in waiting.items() for _ in chunks])
        return [(str(name), waiting[str(name)].popleft()) for name in turns]

    # --- what comes out

    def _run(self, transform: Transform, steps: list[Step], finish: bool = False) -> Pieces:
        got = Collected()
        for name, chunk in steps:
            got.add(self._collect(transform.process(chunk, name), chunk))
        if finish:
            got.add(self._finish(transform))
        return got.pieces

    def _finish(self, transform: Transform) -> Pieces:
        got = Collected()
        for name in transform.input_names():
            got.add(self._collect(transform.finish(name)))
        return got.pieces

    def _collect(self, made: Made, place: Chunk | None = None) -> Pieces:
        by_output: Mapping[str, Any] = made if isinstance(made, Mapping) else {self._names[0]: made}
        if isinstance(made, Gap):
            by_output = dict.fromkeys(self._in_step, made)
        pieces: Pieces = {}
        for output, value in by_output.items():
            if value is None:
                continue
            if isinstance(value, Chunk | Gap):
                value = (value,)
            elif not (isinstance(value, list | tuple) and all(isinstance(c, Chunk | Gap) for c in value)):
                check(
                    place is not None and len(value) == len(place),
                    f"{len(value)} samples for {'a gap or the end' if place is None else 'a chunk'} "
                    f"of {0 if place is None else len(place)}: a Chunk must say their place",
                )
                value = (place.with_data(np.asarray(value)),) if place is not None else ()
            pieces[output] = [item for item in value if isinstance(item, Chunk)]
            self._told[output] = value[-1].stop if value else self._told.get(output, 0)
        return pieces

    @staticmethod
    def _joined(pieces: Pieces) -> dict[str, tuple[int, npt.NDArray[Any]]]:
        joined: dict[str, tuple[int, npt.NDArray[Any]]] = {}
        for output, chunks in pieces.items():
            filled = [chunk for chunk in chunks if len(chunk)]
            for before, after in pairwise(filled):
                check(
                    before.stop == after.start,
                    f"output {output!r}: {after.start} does not follow {before.stop}",
                )
            if filled:
                joined[output] = filled[0].start, np.concatenate([chunk.data for chunk in filled])
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
            elif data.dtype.names:
                check(is_same(got[output][1], data), f"{where}: output {output!r} has other samples")
            else:
                np.testing.assert_array_equal(got[output][1], data, err_msg=where)
