"""What transform and sink nodes have in common: a thread that takes chunks from several inputs."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import TypeVar

from pyacq_lab.errors import EndOfStream
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.roles import Sink, Transform
from pyacq_lab.node.changes import in_words
from pyacq_lab.node.context import NodeContext
from pyacq_lab.node.node import Node
from pyacq_lab.transport.inputs import InputStream

log = logging.getLogger(__name__)

R = TypeVar("R", bound="Transform | Sink")

CATCH_UP_TIMEOUT = 10.0
"""Seconds that a node which is asked to stop may take to deal with what was already under way."""

_IDLE = 0.1


class ReadingNode(Node[R]):
    """Takes chunks and gaps from its inputs, each in order, until it is asked to stop and has caught up."""

    def __init__(self, name: str, component_type: type[R], context: NodeContext) -> None:
        super().__init__(name, component_type, context)
        self._epochs: dict[str, int] = {}  # of inputs: those that have begun and are not over

    def _open_inputs(self, places: Mapping[str, StreamPlace] | None = None) -> None:
        places = places or {}
        self._epochs.clear()
        for name, port in self._wired().items():
            port.epoch = port.stop = 0
            port.open(self._bell, since=places.get(name))

    def _loop(self) -> None:
        while not self._stop_wanted.is_set():
            self._wait()
            self._take_all()
            self._hear_ends()
            self._idle()
        self._catch_up()

    def _catch_up(self) -> None:
        """Deal with what the producers had offered when the stop came."""
        deadline = time.monotonic() + CATCH_UP_TIMEOUT
        goals = [(stream, stream.offered()) for stream in self._streams()]
        while any(goal is not None and stream.dealt_with < goal for stream, goal in goals):
            if time.monotonic() > deadline:
                self._say_left(goals)
                break
            self._wait()
            self._take_all()
            self._idle()
        for name in list(self._epochs):
            self._end_epoch(name)
        self._idle()

    def _say_left(self, goals: list[tuple[InputStream, int | None]]) -> None:
        for stream, goal in goals:
            if goal is not None and (left := goal - stream.dealt_with) > 0:
                log.warning(
                    "node %s was asked to stop and could not catch up within %g s: %d samples of %r are left "
                    "out, and pending in its accounts",
                    self.name,
                    CATCH_UP_TIMEOUT,
                    left,
                    stream.source_name,
                )

    def _take_all(self) -> None:
        """Take what is there; not for longer than a moment, so that a node that lags hears a stop, too."""
        until = time.monotonic() + _IDLE
        more = True
        while more and time.monotonic() < until:
            more = False
            for name, port in self.inputs.items():
                self._change_if_asked()
                if port.stream is None or (item := _taken(port.stream)) is None:
                    continue
                more = True
                if self._epochs.get(name, item.epoch) != item.epoch:
                    self._end_epoch(name)
                if name not in self._epochs:
                    self._epochs[name] = item.epoch
                    self._epoch_begins(name, item)
                if isinstance(item, Gap):
                    port.missing += len(item)
                self._take(item, name)
                port.epoch, port.stop = item.epoch, item.stop

    def _hear_ends(self) -> None:
        """Note which producers have stopped, once all that they gave has been dealt with."""
        for name in list(self._epochs):
            stream = self.inputs[name].stream
            if stream is not None and stream.run_over:
                self._end_epoch(name)

    def _end_epoch(self, name: str) -> None:
        del self._epochs[name]
        self._epoch_ended(name)

    def _at(self) -> tuple[int, str]:
        indices = {name: port.stop for name, port in self._wired().items()}
        return next(iter(indices.values())), in_words(indices)

    def _wait(self) -> None:
        """Wait for news of any input."""
        armed = [stream.arm() for stream in self._streams()]
        if all(armed):
            self._bell.wait(_IDLE)

    def _streams(self) -> list[InputStream]:
        return [port.stream for port in self.inputs.values() if port.stream is not None]

    @abstractmethod
    def _take(self, item: Chunk | Gap, name: str) -> None:
        """Deal with one chunk or gap of an input. Called by the node's thread."""

    def _epoch_begins(self, name: str, first: Chunk | Gap) -> None:
        """Get ready for a new epoch of an input, and its first item. Called by the node's thread."""

    @abstractmethod
    def _epoch_ended(self, name: str) -> None:
        """Deal with the end of an epoch of an input: no more of it comes. Called by the node's thread."""

    def _idle(self) -> None:
        """Do what is due a few times a second. Called by the node's thread."""

    def _finish(self) -> None:
        for port in self.inputs.values():
            port.close()


def _taken(stream: InputStream) -> Chunk | Gap | None:
    try:
        return stream.recv(0.0)
    except EndOfStream:
        return None  # its output was closed; the other inputs go on
