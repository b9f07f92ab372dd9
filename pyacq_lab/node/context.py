"""What a process lends to the nodes in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.streamcontext import StreamContext


def _nobody_asks(_: Any) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class NodeContext(StreamContext):
    """What the streams of its nodes need, and the clock.

    Attributes
    ----------
    clock : Clock
        The host's clock.
    on_change : callable
        Takes each node after a command, and when it has stopped or faulted by itself; any thread.
    """

    clock: Clock
    on_change: Callable[[Any], None] = _nobody_asks
