"""The socket from which a process sends what it says."""

from __future__ import annotations

import zmq

from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.sockets import bind, server_socket
from pyacq_lab.transport.zap import Allow

_DOMAIN = "logs"

SENT_AHEAD = 4
"""Messages that wait in ZeroMQ for a log server. Few, so that a killed process has them in its spool."""

RECEIVED_AHEAD = 16
"""Messages that wait at a log server for its thread, for each process."""

BUFFER = 256 * 1024
"""Bytes that wait in the operating system, at each end."""


def open_log_socket(
    reactor: Reactor, keys: KeyPair, allow: Allow, interface: str
) -> tuple[zmq.Socket[bytes], str]:
    """Bind the PUSH socket for a `LogShipper`; returns it and its endpoint.

    Parameters
    ----------
    reactor : Reactor
        Whose gatekeeper asks ``allow``.
    keys : KeyPair
        By which the process proves itself.
    allow : callable
        Says which keys may pull.
    interface : str
        IP address to listen at.
    """
    reactor.zap.open_domain(_DOMAIN, allow)
    push = server_socket(reactor.context, zmq.PUSH, keys, _DOMAIN)
    push.sndhwm, push.sndbuf = SENT_AHEAD, BUFFER
    return push, bind(push, f"tcp://{interface}:0")
