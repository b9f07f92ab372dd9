"""Names of node types, and the nodes they make."""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pyacq_lab.errors import ConfigurationError, UnknownName
from pyacq_lab.model.names import OF_HANDLES
from pyacq_lab.model.rig import NodeTypeEntry, Registered
from pyacq_lab.model.roles import Component, Sink, Source, Transform
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.sourcetext import source_of
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.node import Node
from pyacq_lab.node.sink import SinkNode
from pyacq_lab.node.source import SourceNode
from pyacq_lab.node.transform import TransformNode

BUILT_IN = {
    "SystemMonitor": "pyacq_lab.devices.system",
    "Replay": "pyacq_lab.devices.replay",
    "ArraySource": "pyacq_lab.devices.arrays",
    "LSLInlet": "pyacq_lab.devices.lslinlet",
    "LSLOutlet": "pyacq_lab.devices.lsloutlet",
    "BrainVisionRDA": "pyacq_lab.devices.brainvision",
    "EphysSocket": "pyacq_lab.devices.ephyssocket",
    "AudioInput": "pyacq_lab.devices.audioinput",
    "AudioOutput": "pyacq_lab.devices.audiooutput",
    "BrainFlowBoard": "pyacq_lab.devices.boards",
    "NIDAQmxInput": "pyacq_lab.devices.nidaq",
    "SerialSource": "pyacq_lab.devices.serialport",
    "VideoSource": "pyacq_lab.devices.video",
    "SignalGenerator": "pyacq_lab.devices.generator",
    "SimulatedDevice": "pyacq_lab.testing.device",
    "SosFilter": "pyacq_lab.processing.sos",
    "MovingMean": "pyacq_lab.processing.mean",
    "StreamConverter": "pyacq_lab.processing.converter",
    "ChannelSplitter": "pyacq_lab.processing.splitter",
    "ChunkResizer": "pyacq_lab.processing.resizer",
    "StreamAligner": "pyacq_lab.processing.aligner",
    "AnalogTrigger": "pyacq_lab.processing.analog_trigger",
    "ChannelSelect": "pyacq_lab.processing.channel_select",
    "DigitalTrigger": "pyacq_lab.processing.digital_trigger",
    "Envelope": "pyacq_lab.processing.envelope",
    "FirFilter": "pyacq_lab.processing.fir",
    "Reference": "pyacq_lab.processing.reference",
    "Rescale": "pyacq_lab.processing.rescale",
    "OverlapFiltfilt": "pyacq_lab.processing.filtfilt",
    "Resample": "pyacq_lab.processing.resample",
    "Spectrum": "pyacq_lab.processing.spectrum",
    "TimeFrequency": "pyacq_lab.processing.timefrequency",
    "EpochAccumulator": "pyacq_lab.processing.epochs",
    "Recorder": "pyacq_lab.recording.recorder",
}
"""Module of each node type that comes with the package; imported when it is first used."""


ENTRY_POINTS = "pyacq_lab.nodes"
"""Group of entry points by which installed packages offer node types, each by the type's name."""

log = logging.getLogger(__name__)


def offered() -> dict[str, EntryPoint]:
    """Node types that installed packages offer, by name; none of them is imported."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in BUILT_IN or point.name in found:
            earlier = "this package" if point.name in BUILT_IN else _package_of(found[point.name])
            log.warning("node type %s of %s is left out: %s has it", point.name, _package_of(point), earlier)
        else:
            found[point.name] = point
    return found


def _package_of(point: EntryPoint) -> str:
    return f"package {point.dist.name}" if point.dist is not None else f"entry point {point.value}"


class Registry:
    """The node types that one nodegroup knows."""

    def __init__(self) -> None:
        self._types: dict[str, type[Component]] = {}
        self._how: dict[str, Registered] = {}

    def names(self) -> list[str]:
        """Names of all known types."""
        return sorted({*BUILT_IN, *self._types, *offered()})

    def register(self, component_type: Any, name: str = "", how: Registered = "defined") -> str:
        """Add a class; returns its name, or the one given. It replaces an earlier one of that name."""
        if not (isinstance(component_type, type) and issubclass(component_type, Source | Transform | Sink)):
            raise ConfigurationError(
                f"{component_type!r} is no node type: wanted a subclass of Source, Transform or Sink"
            )
        if inspect.isabstract(component_type):
            lacks = ", ".join(sorted(component_type.__abstractmethods__))
            raise ConfigurationError(f"{component_type.__name__} is no whole node type: it lacks {lacks}")
        settings_type: Any = component_type.settings_type
        if not (isinstance(settings_type, type) and issubclass(settings_type, Settings)):
            raise ConfigurationError(
                f"{component_type.__name__}.settings_type is {settings_type!r}: wanted a subclass of Settings"
            )
        taken = sorted(
            n for n in OF_HANDLES if inspect.isroutine(inspect.getattr_static(component_type, n, None))
        )
        if taken:
            raise ConfigurationError(
                f"{component_type.__name__} has a method {taken[0]!r}, a name that handles of nodes have for "
                f"themselves: name it otherwise (taken are: {', '.join(sorted(OF_HANDLES))})"
            )
        name = name or component_type.__name__
        self._types[name], self._how[name] = component_type, how
        return name

    def register_from_module(self, module: str, name: str, how: Registered = "module") -> str:
        """Import ``module`` and add its class ``name``.

        Raises
        ------
        UnknownName
            There is no such module or class on this host.
        """
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise UnknownName(f"no class {name!r} in a module {module!r} on this host: {error}") from error
        return self.register(found, how=how)

    def find(self, name: str) -> type[Component]:
        """Class of a type. Raises UnknownName, with the nearest names."""
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UnknownName(f"{name!r} is no name of a node type: known are {', '.join(self.names())}")
        if name not in self._types:
            if name not in BUILT_IN and (point := offered().get(name)) is not None:
                self._load(point)
            elif name not in BUILT_IN:
                near = difflib.get_close_matches(name, self.names(), n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise UnknownName(f"unknown node type {name!r}: {hint}known are {', '.join(self.names())}")
            else:
                self.register_from_module(BUILT_IN[name], name, "built-in")
        return self._types[name]

    def _load(self, point: EntryPoint) -> None:
        """Import a type that a package offers. Raises ConfigurationError, which names the package."""
        try:
            self.register(point.load(), point.name, "entry point")
        except Exception as error:  # whatever a stranger's import may raise
            raise ConfigurationError(
                f"node type {point.name!r} of {_package_of(point)} ({point.value}) cannot be had: "
                f"{type(error).__name__}: {error}"
            ) from error

    def entry(self, component_type: type[Component]) -> NodeTypeEntry:
        """What is known of a type, for the record; one that was replaced meanwhile counts as defined."""
        found = (name for name, kind in self._types.items() if kind is component_type)
        name = next(found, component_type.__name__)
        how = self._how[name] if self._types.get(name) is component_type else "defined"
        return NodeTypeEntry(
            name=name,
            registered=how,
            module=component_type.__module__,
            qualname=component_type.__qualname__,
            source=source_of(component_type) if how == "defined" else "",
        )

    def make(self, type_name: str, name: str, context: NodeContext) -> Node[Any]:
        """Make a node of a type."""
        found = self.find(type_name)
        if issubclass(found, Source):
            return SourceNode(name, found, context)
        if issubclass(found, Transform):
            return TransformNode(name, found, context)
        if issubclass(found, Sink):
            return SinkNode(name, found, context)
        raise ConfigurationError(f"{type_name} is neither Source, Transform nor Sink")
