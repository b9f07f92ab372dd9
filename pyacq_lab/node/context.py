"""What a process lends to the nodes in it."""

from __future__ import annotations

from dataclasses import dataclass

from pyacq_lab.model.roles import Clock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.zap import Allow


@dataclass(frozen=True)
class NodeContext:
    """The process's reactor, keys, address and clock.

    Attributes
    ----------
    reactor : Reactor
        Receives for all nodes.
    server_keys, client_keys : KeyPair
        By which outputs prove themselves, and inputs.
    allow : callable
        Says which keys may read the outputs.
    interface : str
        IP address at which the outputs listen.
    clock : Clock
        The host's clock.
    """

    reactor: Reactor
    server_keys: KeyPair
    client_keys: KeyPair
    allow: Allow
    interface: str
    clock: Clock
