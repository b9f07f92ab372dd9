"""The contracts find what they are there to find: each fault that authors make is caught by its test."""

from __future__ import annotations

import time
from inspect import signature
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pyacq_lab.errors import EndOfStream, LifecycleError
from pyacq_lab.model.chunk import Chunk, Reading
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.settings import Settings
from pyacq_lab.processing import MovingMean
from pyacq_lab.recording import Recorder, open_run
from pyacq_lab.testing import NodeContract, SimulatedDevice, SinkContract, SourceContract, TransformContract


def failures(contract, **fixtures) -> list[str]:
    """Names of the contract's tests that fail."""
    failed = []
    for name in sorted(n for n in dir(contract) if n.startswith("test_")):
        test = getattr(contract, name)
        given = {k: v(name) for k, v in fixtures.items() if k in signature(test).parameters}
        try:
            test(**given)
        except (AssertionError, ValueError, OSError, LifecycleError) as error:
            failed.append(f"{name}: {error}")
    return failed


# Sources


def device_contract(device_type, **attributes):
    class Contract(SourceContract):
        seconds = 0.5

        def make(self):
            return device_type(device_type.settings_type.checked(chunk_size=10))

    for name, value in attributes.items():
        setattr(Contract, name, value)
    return Contract()


class Sound(SimulatedDevice):
    pass


class HidesLoss(SimulatedDevice):
    def read(self, timeout):
        reading = super().read(timeout)
        return None if reading is None or self._position % 50 == 0 else reading


class WrongType(SimulatedDevice):
    def read(self, timeout):
        reading = super().read(timeout)
        return reading and reading.data.astype("f4")


class WrongName(SimulatedDevice):
    def read(self, timeout):
        return {"output": super().read(timeout)}


class Moody(SimulatedDevice):
    n = 0

    def describe(self):
        self.n += 1
        return {name: spec.replace(units=str(self.n)) for name, spec in super().describe().items()}


class OpensOnce(SimulatedDevice):
    was_open = False

    def open(self):
        super().open()
        if self.was_open:
            raise OSError("the port is in use")
        self.was_open = True


class NeverReturns(SimulatedDevice):
    def read(self, timeout):
        self.clock.sleep(5.0)


class TimesStepBack(SimulatedDevice):
    def read(self, timeout):
        reading = super().read(timeout)
        return reading and Reading(reading.data, time_ns=-reading.time_ns)


class Silent(SimulatedDevice):
    def read(self, timeout):
        self.clock.sleep(timeout)
        raise EndOfStream


@pytest.mark.parametrize(
    ("device", "says"),
    [
        (HidesLoss, "samples given or counted as lost in"),
        (WrongType, "came float32 of shape"),
        (WrongName, "which describe() does not name"),
        (Moody, "describe() changed"),
        (OpensOnce, "in use"),
        (NeverReturns, "lasted 5.000 s"),
        (TimesStepBack, "step back"),
        (Silent, "no sample came"),
    ],
)
def test_faults_of_sources_are_found(device, says):
    assert not failures(device_contract(Sound))
    assert any(says in failure for failure in failures(device_contract(device)))


def test_a_source_that_blocks_in_real_time_is_found():
    class Blocks(SimulatedDevice):
        def read(self, timeout):
            time.sleep(0.01)  # in place of a driver's call that ignores the timeout
            return super().read(timeout)

    contract = device_contract(Blocks, slack=0.001)
    with pytest.raises(AssertionError, match="lasted"):
        contract.test_read_honours_its_timeout()


# Transforms


class Gain(Transform):
    settings_type = Settings

    def describe(self, inputs):
        return {"out": inputs["in"]}

    def process(self, chunk, name):
        return chunk.data * 2.0


class DependsOnChunks(Gain):
    def process(self, chunk, name):
        return chunk.data - chunk.data.mean(axis=0) if len(chunk) else chunk.data.copy()


class WritesIntoInput(Gain):
    def process(self, chunk, name):
        chunk.data[...] *= 2.0
        return chunk.data


class ReusesItsOutput(Gain):
    def describe(self, inputs):
        self.out = np.empty((10_000, 3))
        return super().describe(inputs)

    def process(self, chunk, name):
        np.multiply(chunk.data, 2.0, out=self.out[: len(chunk)])
        return self.out[: len(chunk)]


class Remembers(Gain):
    last = 0.0

    def process(self, chunk, name):
        out = chunk.data + self.last
        if len(chunk):
            out[1:] = chunk.data[1:] + chunk.data[:-1]
            self.last = chunk.data[-1]
        return out


class ChangesType(Gain):
    def process(self, chunk, name):
        return super().process(chunk, name).astype("f4")


class ForgetsItsPlace(Gain):
    at = 0

    def process(self, chunk, name):
        self.at += len(chunk)
        return Chunk(self.at - len(chunk), chunk.data * 2.0)


class LosesSamples(Gain):
    def process(self, chunk, name):
        return chunk.data[1:]


class ForgetsItsTime(Gain):
    def process(self, chunk, name):
        return Chunk(chunk.start, chunk.data * 2.0)


class HoldsTheEnd(Gain):
    """Holds the last sample back until the next one comes, or none does."""

    def describe(self, inputs):
        self.reset()
        return super().describe(inputs)

    def reset(self):
        self.held = Chunk(0, np.empty((0, 3)))

    def process(self, chunk, name):
        if not len(chunk):
            return None
        held, n = self.held, len(chunk) - 1
        self.held = Chunk(chunk.start + n, chunk.data[n:].copy(), chunk.time_ns + n * 10**6)
        return [held, Chunk(chunk.start, chunk.data[:n], chunk.time_ns)]

    def finish(self, name):
        held = self.held
        self.reset()
        return held if len(held) else None


class StaleAfterTheEnd(HoldsTheEnd):
    def finish(self, name):
        self.reset()
        self.held = Chunk(0, np.zeros((1, 3)))


class KeepsAGapToItself(Gain):
    def gap(self, gap, name):
        return None


class NamesAnotherOutput(Gain):
    def output_names(self):
        return ("other",)


@pytest.mark.parametrize(
    ("transform", "test"),
    [
        (DependsOnChunks, "test_results_do_not_depend_on_the_cuts"),
        (WritesIntoInput, "test_input_is_not_written_to"),
        (ReusesItsOutput, "test_outputs_are_as_described"),
        (Remembers, "test_reset_leaves_nothing_stale"),
        (ChangesType, "test_outputs_are_as_described"),
        (ForgetsItsPlace, "test_it_goes_on_after_a_gap"),
        (LosesSamples, "test_results_do_not_depend_on_the_cuts"),
        (ForgetsItsTime, "test_times_follow_the_indices"),
        (StaleAfterTheEnd, "test_finish_leaves_nothing_stale"),
        (NamesAnotherOutput, "test_describe_is_stable"),
        (KeepsAGapToItself, "test_a_gap_that_nothing_follows_is_told"),
    ],
)
def test_faults_of_transforms_are_found(transform, test):
    class Contract(TransformContract):
        n_trials = 3
        transform_type = Gain

        def make(self):
            return self.transform_type(Settings())

    assert not failures(Contract())
    contract = Contract()
    contract.transform_type = transform
    assert any(failure.startswith(test) for failure in failures(contract))


def test_what_is_held_back_counts_when_it_is_given_at_the_end():
    class Contract(TransformContract):
        def make(self):
            return HoldsTheEnd(Settings())

    assert not failures(Contract())


class Sum(Transform):
    """Adds two streams, sample by sample, whichever comes first."""

    inputs = ("a", "b")

    def describe(self, inputs):
        self.reset()
        return {"out": inputs["a"]}

    def reset(self):
        self.held = {"a": np.empty((0, 3)), "b": np.empty((0, 3))}
        self.at = None

    def process(self, chunk, name):
        if self.at is None:
            self.at, self.begin_ns = chunk.start, chunk.time_ns - chunk.start * 10**6
        self.held[name] = np.concatenate([self.held[name], chunk.data])
        n = min(map(len, self.held.values()))
        made = Chunk(self.at, self.held["a"][:n] + self.held["b"][:n], self.begin_ns + self.at * 10**6)
        self.held = {name: data[n:] for name, data in self.held.items()}
        self.at += n
        return {"out": made}


class SumOfWhatIsThere(Sum):
    def process(self, chunk, name):
        made = super().process(chunk, name)["out"]
        return made.with_data(made.data + self.held["a"].sum())


def test_several_inputs_come_in_any_order():
    class Contract(TransformContract):
        n_trials = 3
        n_samples = 200
        transform_type = Sum

        def make(self):
            return self.transform_type(Settings())

    assert not failures(Contract())
    contract = Contract()
    contract.transform_type = SumOfWhatIsThere
    (found,) = failures(contract)
    assert found.startswith("test_results_do_not_depend_on_the_cuts")


def test_results_may_be_allowed_a_tolerance():
    class Contract(TransformContract):
        rtol = 1e-9

        def make(self):
            return MovingMean(MovingMean.settings_type.checked(window=0.05))

    assert not failures(Contract())


# Sinks


class JoinsOverGaps(Recorder):
    shift = 0

    def gap(self, gap, name):
        self.shift += len(gap)

    def write(self, chunk, name):
        super().write(Chunk(chunk.start - self.shift, chunk.data, epoch=chunk.epoch), name)


class AcknowledgesTooMuch(Recorder):
    def flush(self):
        return {name: stop + 1 for name, stop in super().flush().items()}


class LosesTheEnd(Recorder):
    def write(self, chunk, name):
        super().write(chunk.with_data(chunk.data[:-1]), name)


class IgnoresEpochs(Recorder):
    def write(self, chunk, name):
        super().write(Chunk(chunk.start, chunk.data), name)


@pytest.mark.parametrize(
    ("sink", "test"),
    [
        (JoinsOverGaps, "test_a_gap_keeps_its_place"),
        (AcknowledgesTooMuch, "test_flush_acknowledges_what_was_written"),
        (LosesTheEnd, "test_what_is_written_reads_back"),
        (IgnoresEpochs, "test_a_new_epoch_is_not_joined"),
    ],
)
def test_faults_of_sinks_are_found(tmp_path, sink, test):
    class Contract(SinkContract):
        n_samples = 100
        sink_type = Recorder

        def make(self, folder: Path):
            return self.sink_type(Recorder.settings_type.checked(path=str(folder / "run")))

        def read_back(self, folder, name):
            signals = open_run(folder / "run").segments(name)
            edges = [[s.start, *(i for g in s.gaps for i in (g.start, g.stop)), s.stop] for s in signals]
            return [
                [(a, s.raw(a, b)) for a, b in zip(e[::2], e[1::2], strict=True)]
                for s, e in zip(signals, edges, strict=True)
            ]

    def folders(tag):
        def folder(name):
            path = tmp_path / tag / name
            path.mkdir(parents=True)
            return path

        return folder

    assert not failures(Contract(), tmp_path=folders("sound"))
    contract = Contract()
    contract.sink_type = sink
    assert any(failure.startswith(test) for failure in failures(contract, tmp_path=folders("broken")))


# Nodes


class KeepsItsPort(SimulatedDevice):
    """Does not release in `close` what it has opened."""

    taken: ClassVar[list[str]] = []

    def open(self):
        if self.taken:
            raise OSError("the port is taken")
        self.taken.append("port")
        super().open()


class SilentOnceStopped(SimulatedDevice):
    n_opened = 0

    def open(self):
        self.n_opened += 1
        super().open()

    def read(self, timeout):
        return super().read(timeout) if self.n_opened == 1 else None


class HidesFaults(MovingMean):
    """Goes on as if nothing had happened, for ever."""

    def __init_subclass__(cls):
        cls.process = MovingMean.process


@pytest.mark.parametrize(
    ("kind", "test", "words"),
    [
        (KeepsItsPort, "test_it_starts_and_stops_many_times", "the port is taken"),
        (SilentOnceStopped, "test_it_starts_and_stops_many_times", "no sample passed"),
        (HidesFaults, "test_a_hook_that_fails_harms_nobody_else", "not faulted by process"),
    ],
)
def test_faults_of_nodes_are_found(caplog, kind, test, words):
    class Contract(NodeContract):
        node_type = kind
        n_restarts = 2
        patience = 0.5

    KeepsItsPort.taken.clear()
    assert any(f.startswith(test) and words in f for f in failures(Contract(), caplog=lambda _: caplog))


@pytest.mark.parametrize("contract", [SourceContract, TransformContract])
def test_a_contract_says_what_to_define(contract):
    with pytest.raises(NotImplementedError, match="define make"):
        contract().make()
