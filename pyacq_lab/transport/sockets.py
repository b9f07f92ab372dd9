"""Encrypted sockets, and the endpoints they bind."""

from __future__ import annotations

import ipaddress
import itertools
import re
import socket
import threading
from concurrent.futures import Future

import zmq

from pyacq_lab.errors import ConfigurationError, HostUnreachable, PyacqError
from pyacq_lab.transport.keys import KeyPair, check_key

RESOLVE_TIMEOUT = 3.0
"""Seconds that a resolver of names has to answer."""

HEARTBEAT_TIMEOUT = 3.0
"""Seconds after which a connection on which nothing arrives is closed, and made anew."""

_monitors = itertools.count()  # pyzmq names them by descriptor, which the system gives out again too soon
_ENDPOINT = re.compile(r"tcp://(?P<ip>\[[0-9a-fA-F:]+\]|[^:/\s\[\]]+):(?P<port>\d{1,5})$")


def server_socket(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, keys: KeyPair, domain: str
) -> zmq.Socket[bytes]:
    """Socket that proves itself by ``keys`` and admits whom the context's ZAP ``domain`` allows."""
    raw = open_socket(context, kind)
    raw.curve_secretkey = keys.secret.encode()
    raw.curve_publickey = keys.public.encode()
    raw.curve_server = True
    raw.zap_domain = domain.encode()
    return raw


def client_socket(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, keys: KeyPair, server_key: str
) -> zmq.Socket[bytes]:
    """Socket that proves itself by ``keys`` and talks only to the server that holds ``server_key``."""
    check_key(server_key)
    raw = open_socket(context, kind)
    raw.curve_secretkey = keys.secret.encode()
    raw.curve_publickey = keys.public.encode()
    raw.curve_serverkey = server_key.encode()
    return raw


def open_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    """Socket without encryption, for what does not leave this machine."""
    raw = context.socket(kind)
    raw.linger = 1000
    # A peer that vanished without a word (power, cable) is noticed by heartbeats, not by TCP's two hours;
    # an attempt to connect that fell into such a hole is given up for another soon.
    raw.heartbeat_ivl = 1000
    raw.heartbeat_timeout = int(HEARTBEAT_TIMEOUT * 1000)
    raw.connect_timeout = 2000
    raw.handshake_ivl = 5000
    return raw


def monitor(raw: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    """Socket on which a socket's connection events arrive."""
    return raw.get_monitor_socket(addr=f"inproc://monitor-{next(_monitors)}")


def bind(raw: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind and return the endpoint that peers connect to, with its real port.

    Raises
    ------
    ConfigurationError
        The endpoint is not of the form ``tcp://IP:PORT``, or cannot be bound here.
    """
    raw.ipv6 = parse_endpoint(endpoint)[0].startswith("[")
    try:
        raw.bind(endpoint)
    except zmq.ZMQError as error:
        raise ConfigurationError(f"cannot listen at {endpoint}: {error.strerror}") from None
    return raw.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\x00")  # pyright: ignore[reportAttributeAccessIssue]


def connect(raw: zmq.Socket[bytes], endpoint: str) -> None:
    """Connect, now or whenever the peer appears.

    Raises
    ------
    ConfigurationError
        The endpoint is none.
    HostUnreachable
        No resolver knows its name, or none has answered in time.
    """
    name, port = parse_endpoint(endpoint)
    # By number: ZeroMQ would ask the resolver in the one thread that carries all connections.
    ip = resolve(name, RESOLVE_TIMEOUT)
    raw.ipv6 = ":" in ip
    try:
        raw.connect(f"tcp://[{ip}]:{port}" if raw.ipv6 else f"tcp://{ip}:{port}")
    except zmq.ZMQError as error:
        raise ConfigurationError(f"{endpoint!r} is not an endpoint: {error.strerror}") from None


def connect_monitored(raw: zmq.Socket[bytes], endpoint: str) -> zmq.Socket[bytes]:
    """Connect, and return the socket on which the connection's events arrive, from the first on.

    Called before a reactor takes either over: from then on a socket is used under its lock only. Where
    it raises, as `connect` does, both are closed.
    """
    events = monitor(raw)
    try:
        connect(raw, endpoint)
    except PyacqError:
        raw.disable_monitor()
        raw.close(linger=0)
        events.close(linger=0)
        raise
    return events


def parse_endpoint(endpoint: str) -> tuple[str, int]:
    """Split ``tcp://IP:PORT``.

    Raises
    ------
    ConfigurationError
        It has another form.
    """
    match = _ENDPOINT.match(endpoint) if isinstance(endpoint, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if match is None or int(match["port"]) > 65535:
        raise ConfigurationError(
            f"{endpoint!r} is not an endpoint; wanted tcp://IP:PORT, such as tcp://10.0.0.53:8000"
        )
    return match["ip"], int(match["port"])


def resolve(name: str, timeout: float) -> str:
    """IP address of a host name; raises HostUnreachable after ``timeout`` seconds at the latest."""
    bare = name.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass  # it is a name
    found: Future[str] = Future()

    def ask() -> None:
        try:
            # Version 4 first: a server listens at that unless told otherwise.
            answers = sorted(socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM), key=lambda a: a[0])
            found.set_result(str(answers[0][4][0]))
        except (OSError, UnicodeError, IndexError) as error:
            found.set_exception(error)

    threading.Thread(target=ask, name=f"resolving {bare}", daemon=True).start()  # it cannot be hurried
    try:
        return found.result(timeout)
    except TimeoutError:
        why = f"the resolver did not answer within {timeout:g} s"
    except (OSError, UnicodeError, IndexError) as error:
        why = str(error)
    raise HostUnreachable(f"no machine is known by the name {bare!r} ({why}); give its IP address")


def is_loopback(ip: str) -> bool:
    """Whether an address reaches only this machine."""
    if ip == "localhost":
        return True
    try:
        return ipaddress.ip_address(ip.strip("[]")).is_loopback
    except ValueError:
        return False


def refuses(endpoint: str, timeout: float) -> bool:
    """Whether a machine says that nothing listens at ``endpoint``; False also where it says nothing."""
    ip, port = parse_endpoint(endpoint)
    try:
        with socket.create_connection((resolve(ip, timeout), port), timeout):
            return False
    except ConnectionRefusedError:
        return True
    except (OSError, HostUnreachable):
        return False


def listens(endpoint: str, timeout: float) -> str:
    """Empty where something accepts TCP connections at ``endpoint``, else the reason why not."""
    ip, port = parse_endpoint(endpoint)
    try:
        with socket.create_connection((resolve(ip, timeout), port), timeout):
            return ""
    except HostUnreachable as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
