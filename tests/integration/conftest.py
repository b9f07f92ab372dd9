"""A process's share of the transport, made and put away for one test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.transport.zap import Allow


@dataclass
class Side:
    """One process: its receiving thread and its keys."""

    reactor: Reactor = field(default_factory=Reactor)
    keys: KeyPair = field(default_factory=KeyPair.generate)

    def context(self, allow: Allow = lambda _: False) -> StreamContext:
        """What its streams need."""
        return StreamContext(reactor=self.reactor, server_keys=self.keys, client_keys=self.keys, allow=allow)


@pytest.fixture
def server() -> Iterator[Side]:
    side = Side()
    yield side
    side.reactor.close()


@pytest.fixture
def client() -> Iterator[Side]:
    side = Side()
    yield side
    side.reactor.close()
