"""The socket from which a process sends what it says."""

from __future__ import annotations

import zmq

from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.sockets import bind, server_socket
from pyacq_lab.transport.zap import Allow

_DOMAIN = "logs"

SENT_AHEAD = 8
"""Messages that may be on their way to a log server which has not said that they have come."""

WAITING = 2 * SENT_AHEAD
"""Messages that wait in ZeroMQ at each end, at most: those, and the few words that go the other way."""

BUFFER = 256 * 1024
"""Bytes that wait in the operating system, at each end."""


def open_log_socket(
    reactor: Reactor, keys: KeyPair, allow: Allow, interface: str
) -> tuple[zmq.Socket[bytes], str]:
    """Bind the ROUTER socket for a `LogShipper`; returns it and its endpoint.

    Parameters
    ----------
    reactor : Reactor
        Whose gatekeeper asks ``allow``.
    keys : KeyPair
        By which the process proves itself.
    allow : callable
        Says which keys may listen.
    interface : str
        IP address to listen at.
    """
    reactor.zap.open_domain(_DOMAIN, allow)
    router = server_socket(reactor.context, zmq.ROUTER, keys, _DOMAIN)
    router.router_mandatory = True
    router.sndhwm, router.rcvhwm, router.sndbuf = WAITING, WAITING, BUFFER
    return router, bind(router, f"tcp://{interface}:0")
