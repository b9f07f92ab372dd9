"""The sockets of streams: over TCP, within a machine, or within a process."""

from __future__ import annotations

import secrets
import sys
import tempfile
from typing import Any, Literal, get_args

import zmq

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.sockets import (
    bind,
    client_socket,
    connect_monitored,
    is_loopback,
    monitor,
    open_socket,
    server_socket,
)

Protocol = Literal["tcp", "ipc", "inproc"]

Raw = zmq.Socket[bytes]


def serve(
    context: zmq.Context[Raw],
    keys: KeyPair,
    domain: str,
    protocol: Protocol,
    interface: str,
    port: int | str,
    encrypted: bool,
) -> tuple[Raw, str]:
    """Make the socket of an output, and the endpoint at which it listens.

    Raises
    ------
    ConfigurationError
        It cannot listen there, or must not without encryption.
    """
    if protocol not in get_args(Protocol):
        raise ConfigurationError(f"protocol={protocol!r}: wanted 'tcp', 'ipc' or 'inproc'")
    if protocol == "tcp" and not encrypted and not is_loopback(interface):
        raise ConfigurationError(
            f"interface={interface!r} with encrypted=False: samples would leave this machine for anybody to "
            "read; leave encrypted=True"
        )
    if protocol == "ipc" and not hasattr(zmq, "IPC_PATH_MAX_LEN"):
        raise ConfigurationError("protocol='ipc': this system has none; use 'tcp'")
    # Within a process ZeroMQ has neither a handshake nor anything to encrypt.
    safe = encrypted and protocol != "inproc"
    raw = server_socket(context, zmq.ROUTER, keys, domain) if safe else open_socket(context, zmq.ROUTER)
    raw.router_mandatory = True
    raw.sndhwm = 0  # what may be under way is bounded per reader, in samples
    try:
        if protocol == "tcp":
            return raw, bind(raw, f"tcp://{interface}:{0 if port == '*' else port}")
        endpoint = f"{protocol}://{_name(protocol)}"
        raw.bind(endpoint)
    except (ConfigurationError, zmq.ZMQError) as error:
        raw.close(linger=0)
        if isinstance(error, zmq.ZMQError):
            raise ConfigurationError(f"cannot listen with protocol {protocol!r}: {error.strerror}") from None
        raise
    return raw, endpoint


def reach(context: zmq.Context[Raw], keys: KeyPair, endpoint: str, server_key: str) -> tuple[Raw, Raw]:
    """Make the socket of an input, and the one on which its connection's events arrive.

    Raises
    ------
    ConfigurationError, HostUnreachable
        As `sockets.connect`.
    """
    safe = server_key and not endpoint.startswith("inproc:")
    raw = client_socket(context, zmq.DEALER, keys, server_key) if safe else open_socket(context, zmq.DEALER)
    raw.rcvhwm = 0  # bounded by the producer, in samples
    if endpoint.startswith("tcp:"):
        if not safe and not is_loopback(endpoint.removeprefix("tcp://").rpartition(":")[0]):
            raw.close(linger=0)
            raise ConfigurationError(f"{endpoint}: a stream without a key is read on its own machine only")
        return raw, connect_monitored(raw, endpoint)
    events = monitor(raw)
    try:
        if not endpoint.startswith(("ipc://", "inproc://")):
            raise ConfigurationError(f"{endpoint!r} is not an endpoint; wanted tcp://, ipc:// or inproc://")
        raw.connect(endpoint)
    except (ConfigurationError, zmq.ZMQError) as error:
        raw.disable_monitor()
        raw.close(linger=0)
        events.close(linger=0)
        if isinstance(error, zmq.ZMQError):
            raise ConfigurationError(f"cannot connect to {endpoint}: {error.strerror}") from None
        raise
    return raw, events


def _name(protocol: Protocol) -> str:
    token = secrets.token_hex(12)
    if protocol == "inproc":
        return f"pyacq-lab-{token}"
    if sys.platform == "linux":
        return f"@pyacq-lab-{token}"  # no file that could be left behind
    return f"{tempfile.mkdtemp(prefix='pyacq-stream-')}/{token[:8]}"


def is_immediate(address: Any) -> bool:
    """Whether a connection stands as soon as it is made, without an event that says so."""
    return str(address.endpoint).startswith("inproc:")
