"""What a node's author writes: a source, a transform or a sink, and neither threads nor sockets.

An author's object lives from one ``configure`` to the next: configuring a node makes a new one, so no
state outlives the settings it was made for. All its hooks are called by one thread at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

import numpy.typing as npt

from pyacq_lab.model.chunk import Chunk, Gap, Reading
from pyacq_lab.model.ledger import HopLedger
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.rig import ClockReading, Rig
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec

Placed = Chunk | Gap
"""What has a place in time of its own."""

Emitted = npt.NDArray[Any] | Placed | Sequence[Placed] | None
"""What a transform gives back for one output: samples, samples and gaps with their own place, nothing."""

Made = Emitted | Mapping[str, Emitted]
"""What a transform gives back: for its only output, or by the names of its outputs."""


class Clock(Protocol):
    """Time as an argument: the host's clock, or one that a test turns by hand."""

    def now_ns(self) -> int:
        """Now, ns since 1970 UTC; never steps back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, less if the node is asked to stop meanwhile."""
        ...


class Component(ABC):
    """Common part of `Source`, `Transform` and `Sink`.

    Attributes
    ----------
    settings_type : type
        Class attribute, a subclass of `Settings`: what ``configure`` takes.
    settings : Settings
        The checked settings.
    clock : Clock
        Set by the node before any hook is called.
    """

    settings_type: ClassVar[type[Settings]] = Settings
    clock: Clock

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def change(self, settings: Any) -> None:
        """Take over settings of which live ones, at least one, and no others differ from those in force.

        Called between two chunks, or while the node does not run. By default nothing but `settings` changes.

        Raises
        ------
        ConfigurationError, StreamMismatch
            They do not fit, for a reason that the settings alone do not know; nothing was changed.
        """
        self.settings = settings

    def resumed_settings(self) -> Mapping[str, Any]:
        """Settings with which another process carries on where this one was killed.

        By name, those that are to be others than the ones in force. Asked after each command, by any thread:
        once the process is dead, it cannot be asked any more.
        """
        return {}

    def close(self) -> None:
        """Release what was opened. Called after stop and after any fault; must be idempotent."""


class Source(Component):
    """A device: it gives samples at its own pace.

    Attributes
    ----------
    waits : bool
        Whether the source loses nothing by waiting for slow lossless readers, as a file replay can. Asked
        at configure.
    """

    waits: bool = False

    @abstractmethod
    def describe(self) -> Mapping[str, StreamSpec]:
        """Outputs by name. Called once, at configure; raise ConfigurationError where settings clash."""

    @abstractmethod
    def open(self) -> None:
        """Start acquiring. Called at each start; the next read gives sample 0 of a new epoch."""

    @abstractmethod
    def read(self, timeout: float) -> Reading | npt.NDArray[Any] | Mapping[str, Any] | None:
        """Give the samples acquired since the last read.

        Called in a loop while the node runs. Return within about ``timeout`` seconds even if nothing
        came, so that a stop is heard. A bare array or `Reading` goes to the only output; several
        outputs take a mapping from their names.

        Raises
        ------
        EndOfStream
            There is nothing more: the node stops.
        """


class Transform(Component):
    """Processing: chunks in, chunks out.

    A new epoch of the first input begins one of each output. Outputs of its sample rate share its indices.
    At another rate sample 0 is of the same moment, so that sample ``k`` belongs to time ``k / sample_rate``
    there, too; and events are counted: their first is number 0 (`pyacq_lab.model.events`).

    Attributes
    ----------
    inputs, outputs : tuple of str
        Class attributes, names of the inputs and outputs. Where the settings decide, `input_names` and
        `output_names` say so instead.
    at_gap : {'reset', 'hold'}
        Class attribute, what happens to the state at a gap: ``reset`` calls `reset` and goes on from
        fresh; ``hold`` keeps it. Where neither will do, `gap` is another.
    """

    inputs: ClassVar[tuple[str, ...]] = ("in",)
    outputs: ClassVar[tuple[str, ...]] = ("out",)
    at_gap: ClassVar[Literal["reset", "hold"]] = "reset"

    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs with these settings. Asked at configure."""
        return self.inputs

    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs with these settings. Asked at configure."""
        return self.outputs

    @abstractmethod
    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Outputs by name, from what comes in. Called at initialize; also sizes the state."""

    @abstractmethod
    def process(self, chunk: Chunk, name: str) -> Made:
        """Process one chunk of input ``name``; must not depend on how the stream is cut into chunks.

        An array as long as the chunk takes the chunk's place in time; anything else is a `Chunk` that
        says its own, or several in order. A `Gap` between or after them tells what will not come, and why.
        Never write into ``chunk.data``: other readers share it.
        """

    def gap(self, gap: Gap, name: str) -> Made:
        """Take note that samples of input ``name`` will never arrive; called in the stream's order.

        Does what `at_gap` says. What was held back is given now, or never. A gap that is given back by
        itself, as one of the first input is by default, goes to all outputs of the first input's rate.
        """
        if self.at_gap == "reset":
            self.reset()
        return gap if name == self.input_names()[0] else None

    def finish(self, name: str) -> Made:
        """Give what was held back of input ``name``: an epoch of it is over. Forgets it all by default.

        Called once for each epoch: when its producer has stopped and all of it was processed, where a new one
        begins without that, or when the node stops, for one input after the other.
        """
        self.reset()
        return None

    def reset(self) -> None:
        """Forget the past. Called at start; by `finish`; and by `gap` where `at_gap` says so."""


class Sink(Component):
    """The end of a stream: a recorder, an outlet, an actuator.

    Attributes
    ----------
    inputs : tuple of str or None
        Class attribute, names of the inputs; None: any name, made when it is first connected.
    policy : {'lossless', 'drop-oldest', 'latest'}
        Class attribute, what its connections ask for when the user does not say.
    wants_rig : bool
        Class attribute, whether the manager is to tell it of the set-up that it is part of.
    """

    inputs: ClassVar[tuple[str, ...] | None] = ("in",)
    policy: ClassVar[Literal["lossless", "drop-oldest", "latest"]] = "lossless"
    wants_rig: ClassVar[bool] = False

    @abstractmethod
    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        """Get ready to write. Called at each start."""

    def places(self) -> Mapping[str, StreamPlace]:
        """Where inputs go on for a sink of another process, by name; the others begin as they are wired.

        Asked at each start, after `open`. What the producer no longer holds comes as one gap; where its
        process was another, all that there is of the present one comes.
        """
        return {}

    def begin(self, name: str, place: StreamPlace, epoch: int) -> None:
        """Take note that an epoch of input ``name`` begins, or goes on, at this place of its producer.

        Called before `write` or `gap` are with the first of it; ``epoch`` is what these call the epoch.
        """

    @abstractmethod
    def write(self, chunk: Chunk, name: str) -> None:
        """Take one chunk of input ``name``, in order, without overlap."""

    @abstractmethod
    def gap(self, gap: Gap, name: str) -> None:
        """Take note that samples will never arrive; called in the stream's order."""

    def finish(self, name: str) -> None:
        """Take note that an epoch of input ``name`` is over; called as `Transform.finish` is."""

    def take_accounts(self, ledgers: Mapping[str, HopLedger]) -> None:
        """Take note of the accounts of the connections, by input; called before `flush`, and at the end."""

    def take_rig(self, rig: Rig, name: str) -> None:
        """Take note of the set-up, in which this sink's node is called ``name``, where `wants_rig` is set.

        Called before each start and stop by a handle, and a moment after the set-up has changed while the
        node runs; by any thread, so that it must not wait. Without a manager it is never called.
        """

    def take_clocks(self, readings: Sequence[ClockReading]) -> None:
        """Take note of how the hosts' clocks stand now; called as `take_rig`, and every ten seconds."""

    def flush(self) -> Mapping[str, int]:
        """Make what was written durable; called a few times a second and at stop.

        Returns
        -------
        dict of str to int
            For each input, the absolute index up to which everything is acknowledged.
        """
        return {}
