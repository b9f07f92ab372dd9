"""What each node is described with: settings where it needs some, and streams that go in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyacq_lab.model.events import event_spec
from pyacq_lab.model.stream import StreamSpec

SIGNAL = StreamSpec(shape=(-1, 3), sample_rate=1000.0, units="mV")
"""What goes into a transform unless it wants something else."""

PORT = StreamSpec.of("uint8", streamtype="digitalsignal", shape=(-1, 1), sample_rate=1000.0)
"""A digital port of eight lines."""


@dataclass(frozen=True)
class Case:
    """One node, described.

    Attributes
    ----------
    settings : dict
        Those that it does not have by default.
    inputs : mapping of str to StreamSpec
        Where `SIGNAL` will not do.
    outputs : tuple of str
        Names of the outputs of a source that would ask a device what it gives.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, StreamSpec] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


CASES: dict[str, Case] = {
    "AnalogTrigger": Case({"threshold": 2.5}),
    "ArraySource": Case({"data": [[0.0, 0.0]]}),
    "AudioInput": Case({"backend": "miniaudio"}),
    "BrainVisionRDA": Case(outputs=("out", "markers")),
    "ChannelSelect": Case({"channels": ["2", "0"]}),
    "ChannelSplitter": Case({"outputs": {"first": ["0"], "others": ["1:"]}}),
    "DigitalTrigger": Case(inputs={"in": PORT}),
    "EphysSocket": Case(outputs=("out",)),
    "EpochAccumulator": Case(inputs={"events": event_spec(1000.0)}),
    "FirFilter": Case({"kind": "lowpass", "high": 40.0}),
    "LSLInlet": Case(outputs=("out",)),
    "OverlapFiltfilt": Case({"kind": "lowpass", "high": 40.0}),
    "Replay": Case({"dataset": "ecg"}),
    "Resample": Case({"sample_rate": 250.0}),
    "SerialSource": Case({"port": "/dev/ttyACM0"}),
    "SosFilter": Case({"kind": "bandpass", "low": 1.0, "high": 40.0}),
    "StreamAligner": Case({"inputs": {"eeg": "reference", "force": "linear"}}),
    "TimeFrequency": Case({"frequencies": [10.0, 20.0]}),
}
"""By name; a node that is not here has its default settings."""
