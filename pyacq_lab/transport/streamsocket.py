"""The sockets of streams: over TCP, within a machine, or within a process."""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
import tempfile
import time
from typing import Any, Literal

import zmq

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.choices import check_choice
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

_INPROC = re.compile(r"inproc://pyacq-lab-(?P<pid>\d+)-(?P<context>[0-9a-f]+)-[0-9a-f]+$")

_LETS_GO = 1.0
"""Seconds within which a closed socket's port is free again."""


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
        It cannot listen there.
    """
    if protocol == "ipc" and not hasattr(zmq, "IPC_PATH_MAX_LEN"):
        raise ConfigurationError("protocol='ipc': this system has none; use 'tcp'")
    # Within a process ZeroMQ has neither a handshake nor anything to encrypt.
    safe = encrypted and protocol != "inproc"
    raw = server_socket(context, zmq.ROUTER, keys, domain) if safe else open_socket(context, zmq.ROUTER)
    raw.router_mandatory = True
    raw.sndhwm = 0  # what may be under way is bounded per reader, in samples
    try:
        if protocol == "tcp":
            return raw, _bind_soon(raw, f"tcp://{interface}:{0 if port == '*' else port}")
        endpoint = f"{protocol}://{_name(protocol, context)}"
        raw.bind(endpoint)
    except (ConfigurationError, zmq.ZMQError) as error:
        raw.close(linger=0)
        if isinstance(error, zmq.ZMQError):
            raise ConfigurationError(f"cannot listen with protocol {protocol!r}: {error.strerror}") from None
        raise
    return raw, endpoint


def check_place(protocol: Any, interface: Any, port: Any, whose: str = "") -> None:
    """Refuse a place to listen at that is none.

    Raises
    ------
    ConfigurationError
        Names what came, and ``whose`` it is, if given.
    """
    check_choice("protocol", protocol, Protocol, whose)
    of = f" of {whose}" if whose else ""
    if interface is not None and not isinstance(interface, str):
        raise ConfigurationError(f"interface={interface!r}{of}: wanted an IP address, such as '10.0.0.53'")
    whole = isinstance(port, int) and not isinstance(port, bool) and 0 <= port < 1 << 16
    if port != "*" and not whole and not (isinstance(port, str) and port.isdecimal()):
        raise ConfigurationError(f"port={port!r}{of}: wanted a TCP port, or '*' for any that is free")
    if protocol != "tcp" and (interface is not None or port != "*"):
        came = f"interface={interface!r}" if interface is not None else f"port={port!r}"
        raise ConfigurationError(
            f"{came}{of} with protocol={protocol!r}: only 'tcp' listens at an address; leave it out"
        )


def check_safe(protocol: Protocol, interface: str, encrypted: bool) -> None:
    """Raise ConfigurationError where samples would leave this machine for anybody to read."""
    if protocol == "tcp" and not encrypted and not is_loopback(interface):
        raise ConfigurationError(
            f"interface={interface!r} with encrypted=False: samples would leave this machine for anybody to "
            "read; leave encrypted=True"
        )


def bracketed(interface: str) -> str:
    """IP address as it stands in an endpoint."""
    return f"[{interface}]" if ":" in interface and not interface.startswith("[") else interface


def _bind_soon(raw: Raw, endpoint: str) -> str:
    """Bind; a socket that was just closed may hold the port a moment longer, for ZeroMQ closes it aside."""
    until = time.monotonic() + _LETS_GO
    while True:
        try:
            return bind(raw, endpoint)
        except ConfigurationError as error:
            cause = error.__context__
            if not (isinstance(cause, zmq.ZMQError) and cause.errno == errno.EADDRINUSE):
                raise
            if time.monotonic() > until:
                raise
        time.sleep(0.01)


def reach(context: zmq.Context[Raw], keys: KeyPair, endpoint: str, server_key: str) -> tuple[Raw, Raw]:
    """Make the socket of an input, and the one on which its connection's events arrive.

    Raises
    ------
    ConfigurationError, HostUnreachable
        As `sockets.connect`.
    """
    if endpoint.startswith("inproc:"):
        _check_inproc(endpoint, context)
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


def _check_inproc(endpoint: str, context: zmq.Context[Raw]) -> None:
    """Refuse an address of another process at once: nothing would ever answer."""
    match = _INPROC.match(endpoint)
    if match is None:
        raise ConfigurationError(f"{endpoint!r} is no address of an output")
    if int(match["pid"]) != os.getpid():
        raise ConfigurationError(
            f"{endpoint} is read within process {match['pid']} only, and this is process {os.getpid()}: "
            "configure the output with protocol='ipc' or 'tcp'"
        )
    if int(match["context"], 16) != id(context):
        raise ConfigurationError(
            f"{endpoint} is another part of this process's: connect to the output itself, not to its "
            "address, or configure it with protocol='ipc' or 'tcp'"
        )


def _name(protocol: Protocol, context: zmq.Context[Raw]) -> str:
    token = secrets.token_hex(12)
    if protocol == "inproc":
        return f"pyacq-lab-{os.getpid()}-{id(context):x}-{token}"
    if sys.platform == "linux":
        return f"@pyacq-lab-{token}"  # no file that could be left behind
    return f"{tempfile.mkdtemp(prefix='pyacq-stream-')}/{token[:8]}"


def is_immediate(address: Any) -> bool:
    """Whether a connection stands as soon as it is made, without an event that says so."""
    return str(address.endpoint).startswith("inproc:")
