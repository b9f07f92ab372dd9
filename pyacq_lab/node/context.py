"""What a process lends to the nodes in it."""

from __future__ import annotations

from dataclasses import dataclass

from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.streamcontext import StreamContext


@dataclass(frozen=True, kw_only=True)
class NodeContext(StreamContext):
    """What the streams of its nodes need, and the clock.

    Attributes
    ----------
    clock : Clock
        The host's clock.
    """

    clock: Clock
