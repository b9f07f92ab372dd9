"""Measure how many times faster than the signal nodes are: ``python -m tests.benchmarks.nodes``.

Writes docs/benchmarks/results/nodes.json and, from it, docs/benchmarks/nodes.md. The filter and bare scipy
take turns on the same chunks, so that whatever else the machine does strikes them alike: trust the ratio.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

sys.path.insert(0, str(Path(__file__).parents[2]))

import pyacq_lab as pyacq
from pyacq_lab import processing
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.testing import ManualClock
from tests.benchmarks.common import Row, fresh_home, goals, head, machine, median, show, write

N_CHANNELS = 64
RATE = 30_000.0
CHUNK = 300  # samples: 10 ms
BANDPASS = {"kind": "bandpass", "low": 300.0, "high": 6000.0}
OURS, BARE = "SosFilter", "scipy.signal.sosfilt"

NODES: dict[str, dict[str, Any]] = {
    "SosFilter": BANDPASS,
    "FirFilter": {"high": 3000.0, "n_taps": 101},
    "OverlapFiltfilt": BANDPASS,
    "Resample": {"sample_rate": 1000.0},
    "Reference": {},
    "Rescale": {"gain": 2.0},
    "ChannelSelect": {"channels": ["0:32"]},
    "AnalogTrigger": {"threshold": 3.0, "hysteresis": 1.0},
    "DigitalTrigger": {"edge": "both"},
    "EpochAccumulator": {"before": 0.01, "after": 0.02},
    "Spectrum": {"every": 0.1, "length": 0.5, "segment": 0.1, "high": 1000.0},
    "TimeFrequency": {"frequencies": [50.0, 100.0, 200.0, 400.0], "every": 0.001, "block": 0.1},
    "Envelope": {"window": 0.01},
    "MovingMean": {"window": 0.01},
    "StreamConverter": {"dtype": "float64"},
    "ChannelSplitter": {"outputs": {"left": [":32"], "right": ["32:"]}},
    "ChunkResizer": {"chunk_size": 1024},
    "StreamAligner": {"inputs": {"in": "reference", "other": "linear"}},
}
"""Settings with which each node type is measured."""


def spec_for(name: str) -> StreamSpec:
    """The stream that a node type is measured on."""
    if name == "DigitalTrigger":
        return StreamSpec.of("u1", streamtype="digitalsignal", shape=(-1, N_CHANNELS), sample_rate=RATE)
    return StreamSpec.of("float32", shape=(-1, N_CHANNELS), sample_rate=RATE, units="uV")


def samples_for(spec: StreamSpec, seconds: float) -> npt.NDArray[Any]:
    """Noise, or words of which few change."""
    rng = np.random.default_rng(0)
    shape = (round(seconds * RATE), N_CHANNELS)
    if spec.streamtype == "digitalsignal":
        return (rng.random(shape) < 0.001).cumsum(axis=0).astype(spec.np_dtype)
    return rng.standard_normal(shape).astype(spec.np_dtype)


def make(name: str, spec: StreamSpec) -> Transform:
    """A node type's transform that knows its inputs."""
    kind = getattr(processing, name)
    transform: Transform = kind(kind.settings_type.checked(**NODES[name]))
    transform.clock = ManualClock()
    inputs = dict.fromkeys(transform.input_names(), spec)
    if "events" in inputs:
        inputs["events"] = event_spec(RATE)
    transform.describe(inputs)
    transform.reset()
    return transform


def chunks_of(data: npt.NDArray[Any], start: int = 0) -> Iterable[Chunk]:
    """Consecutive chunks of 10 ms."""
    for at in range(0, len(data) - CHUNK + 1, CHUNK):
        yield Chunk(start + at, data[at : at + CHUNK], round((start + at) * 1e9 / RATE))


def run_alone(name: str, seconds: float) -> float:
    """Real-time factor of one node type, in this process, without streams."""
    spec = spec_for(name)
    transform = make(name, spec)
    others = [port for port in transform.input_names() if port != "in"]
    took = 0.0
    for chunk in chunks_of(samples_for(spec, seconds)):
        events = event_array([Event(chunk.time_ns, index=chunk.start)])  # a hundred a second
        begun = time.perf_counter()
        transform.process(chunk, "in")
        for port in others:
            transform.process(Chunk(chunk.start // CHUNK, events) if port == "events" else chunk, port)
        took += time.perf_counter() - begun
    return seconds / took


def run_beside_scipy(seconds: float) -> dict[str, float]:
    """Seconds that filter and scipy need for the same chunks, turn by turn."""
    spec = spec_for(OURS)
    transform = make(OURS, spec)
    sos = signal.butter(4, [300.0, 6000.0], "bandpass", output="sos", fs=RATE)
    took = {OURS: 0.0, BARE: 0.0}
    data = samples_for(spec, seconds)
    state = signal.sosfilt_zi(sos)[:, :, np.newaxis] * data[0].astype(np.float64)
    for number, chunk in enumerate(chunks_of(data)):
        for which in (OURS, BARE) if number % 2 else (BARE, OURS):
            begun = time.perf_counter()
            if which == OURS:
                transform.process(chunk, "in")
            else:
                _, state = signal.sosfilt(sos, chunk.data, axis=0, zi=state)
            took[which] += time.perf_counter() - begun
    return took


def run_chain(seconds: int, folder: Path) -> float:
    """Real-time factor of source, filter, trigger and sink, each in a nodegroup of its own."""
    block = samples_for(spec_for(OURS), 1.0)
    manager = pyacq.create_manager()
    try:
        source, band, trigger, sink = (
            manager.create_nodegroup(f"g{i}").create_node(kind, name=kind)
            for i, kind in enumerate(("ArraySource", "SosFilter", "AnalogTrigger", "Recorder"))
        )
        source.configure(data=block, sample_rate=RATE, units="uV", loops=seconds, realtime=False)
        band.configure(**BANDPASS)
        trigger.configure(threshold=3.0, hysteresis=1.0)
        sink.configure(path=str(folder / "run"))
        band.input.connect(source.output)
        trigger.input.connect(band.output)
        sink.inputs["events"].connect(trigger.output)
        for node in (source, band, trigger, sink):
            node.initialize()
        for node in (sink, trigger, band):
            node.start()
        begun = time.perf_counter()
        source.start()
        total = seconds * len(block)
        while (done := trigger.status().inputs[0].samples) < total:
            if time.perf_counter() > begun + 60 + 10 * seconds:
                raise RuntimeError(f"the chain came to sample {done} of {total}")
            time.sleep(0.005)
        took = time.perf_counter() - begun
        for node in (band, trigger, sink):
            node.stop()
        lost = sum(node.status().inputs[0].ledger.dropped for node in (band, trigger, sink))
        if lost:
            raise RuntimeError(f"the chain lost {lost} samples")
    finally:
        manager.close()
    return seconds / took


def measure(
    rounds: int = 5, seconds: float = 4.0, chain: int = 20, names: Sequence[str] = tuple(NODES)
) -> dict[str, Any]:
    """Take all figures.

    Parameters
    ----------
    rounds : int
        How often each has its turn.
    seconds : float
        Length of the signal for each node.
    chain : int
        The same for the chain.
    names : sequence of str
        Node types.
    """
    result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "chain seconds": chain}
    beside: list[dict[str, float]] = []
    alone: dict[str, list[float]] = {name: [] for name in names}
    chains: list[float] = []
    with fresh_home() as home:
        for number in range(rounds):
            beside.append(run_beside_scipy(seconds))
            for name, factors in alone.items():
                factors.append(run_alone(name, seconds))
            chains.append(run_chain(chain, home / str(number)))
    result["real-time factor"] = {name: round(median(factors), 1) for name, factors in alone.items()}
    result["beside scipy"] = {
        who: round(median(seconds / took[who] for took in beside), 1) for who in (OURS, BARE)
    }
    result["SosFilter / scipy"] = round(median(took[OURS] / took[BARE] for took in beside), 3)
    result["chain"] = round(median(chains), 1)
    return result


def ratios(result: Mapping[str, Any]) -> list[Row]:
    """Figures beside their goals."""
    beside = result["beside scipy"]
    return [
        ("time of SosFilter / bare sosfilt", f"{result['SosFilter / scipy']:.2f}", "<= 1.15"),
        ("real-time factor of SosFilter", f"{beside[OURS]:g}", ""),
        ("real-time factor of bare sosfilt", f"{beside[BARE]:g}", ""),
        ("real-time factor of source, filter, trigger, sink", f"{result['chain']:g}", ">= 1"),
    ]


ABOUT = """64 channels at 30 kHz of float32, in chunks of 10 ms. A real-time factor of 10
means: ten times as fast as the signal comes. The filter is a Butterworth bandpass of order 4 (8 poles); bare
`scipy.signal.sosfilt` has the same chunks and a state, turn by turn. The chain is `ArraySource`, `SosFilter`,
`AnalogTrigger` and `Recorder`, each in a process of its own, over real streams, as fast as it goes, without
loss.""".splitlines()


def page(result: Mapping[str, Any]) -> str:
    """The page for the documentation."""
    lines = head("Nodes", "tests.benchmarks.nodes", ABOUT, result) + goals(ratios(result))
    lines += ["", "Each node type alone, in one process, without streams:", ""]
    lines += ["| node type | with | real-time factor |", "|---|---|---|"]
    for name, factor in result["real-time factor"].items():
        settings = ", ".join(f"{key}={value!r}" for key, value in NODES[name].items())
        lines.append(f"| {name} | {settings and f'`{settings}`'} | {factor:g} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    result = measure()
    show(ratios(result))
    write("nodes", result, page(result))


if __name__ == "__main__":
    main()
