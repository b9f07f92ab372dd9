"""The host server: one per machine, for any number of managers."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import tempfile
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pyacq_lab._version import __version__
from pyacq_lab.errors import AuthenticationError, LifecycleError, UnknownName, VersionMismatch
from pyacq_lab.host.groups import Groups
from pyacq_lab.kernel.launcher import Launcher
from pyacq_lab.model.remote import Welcome
from pyacq_lab.model.status import HostStatus
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keyring import Keyring
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import Peer, RpcServer
from pyacq_lab.transport.sockets import parse_endpoint
from pyacq_lab.wire.messages import (
    PROTOCOL,
    DescribeHost,
    DumpStacks,
    Goodbye,
    Hello,
    HostRequest,
    InterruptGroup,
    KernelConnection,
    NewbornRequest,
    Pair,
    Ping,
    Ready,
    RenewLease,
    Spawn,
    StopGroup,
)

log = logging.getLogger(__name__)

WATCH_PERIOD = 0.5
"""Seconds between two looks at whether the managers are still there."""

HANG_UP_GRACE = 2.0
"""Seconds after which a manager whose connection was closed, and that did not come back, is given up."""


@dataclass(eq=False)
class Application:
    """One manager: its nodegroups, its connection, and how long it may be silent."""

    id: str
    key: str
    groups: Groups
    routing_id: bytes
    lease: float
    heard: float
    gone_since: float | None = None


class HostServer:
    """Starts, watches and ends nodegroups on this machine for managers that prove an authorised key.

    Everything but `stop` is called in the event loop's thread.

    Parameters
    ----------
    endpoint : str
        Where to listen, ``tcp://IP:PORT``; port 0 takes a free one.
    name : str
        The host's name in logs and panels; the machine's unless given.
    keyring : Keyring, optional
        Key files.
    pairing : bool
        Whether to make a one-time pairing token.
    """

    def __init__(
        self, endpoint: str, *, name: str | None = None, keyring: Keyring | None = None, pairing: bool = True
    ) -> None:
        self.name = name or platform.node()
        self._interface, _ = parse_endpoint(endpoint)
        self._wanted = endpoint
        self._keyring = keyring or Keyring()
        self._keys = self._keyring.host()
        self._token = KeyPair.generate() if pairing else None
        self._clock = SystemClock()
        self._applications: dict[str, Application] = {}
        self._closing: asyncio.Event | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="pyacq_lab-host-")
        self._launcher = Launcher(Path(self._folder.name) / "kernels")
        self._reactor = Reactor("pyacq-host")

    async def start(self) -> None:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        await self._launcher.start()
        self._births = RpcServer(
            self._reactor,
            "tcp://127.0.0.1:0",
            keys=self._keys,
            allow=lambda key: any(key in a.groups.newborn_keys() for a in list(self._applications.values())),
            vocabulary=NewbornRequest,
            handler=self._on_birth,
            where=f"host {self.name}",
        )
        self._server = RpcServer(
            self._reactor,
            self._wanted,
            keys=self._keys,
            allow=self._admits,
            vocabulary=HostRequest,
            handler=self._on_request,
            where=f"host {self.name}",
        )

    @property
    def endpoint(self) -> str:
        """Where it listens, with the real port."""
        return self._server.endpoint

    @property
    def invitation(self) -> str:
        """Key to paste into a notebook: the public key, and the pairing token while it is unused."""
        return self._keys.public + (self._token.secret if self._token else "")

    async def serve(self) -> None:
        """Serve until `stop` is called, then end all nodegroups."""
        if self._closing is None:
            raise LifecycleError("the host server has not been started")
        try:
            while not self._closing.is_set():
                await self._watch()
                try:
                    await asyncio.wait_for(self._closing.wait(), WATCH_PERIOD)
                except TimeoutError:
                    continue
        finally:
            await self.close()

    def stop(self) -> None:
        """Ask `serve` to end; any thread."""
        closing = self._closing
        if closing is not None:
            self._loop.call_soon_threadsafe(closing.set)

    async def close(self) -> None:
        """End all nodegroups and stop listening."""
        await asyncio.gather(*(a.groups.close() for a in self._applications.values()))
        self._server.close()
        self._births.close()
        await self._launcher.close()
        await asyncio.to_thread(self._reactor.close)
        self._folder.cleanup()

    # --- the reactor's thread

    def _admits(self, key: str) -> bool:
        token = self._token
        return key in self._keyring.authorized() or (token is not None and key == token.public)

    def _on_request(self, message: Any, peer: Peer) -> Any | Future[Any]:
        if isinstance(message, Ping):
            return self._clock.now_ns()
        return asyncio.run_coroutine_threadsafe(self._serve_one(message, peer), self._loop)

    def _on_birth(self, message: Any, peer: Peer) -> Any | Future[Any]:
        return asyncio.run_coroutine_threadsafe(self._born(message, peer), self._loop)

    # --- the event loop

    async def _born(self, message: Ready | Ping, peer: Peer) -> None:
        if isinstance(message, Ready):
            for application in self._applications.values():
                group = application.groups.newborn(message.name, peer.key)
                if group is not None and not group.ready.done():
                    group.ready.set_result(message)
                    return
        raise UnknownName(f"host {self.name!r} waits for no such process")

    async def _serve_one(self, message: Any, peer: Peer) -> Any:
        if isinstance(message, Pair):
            return self._pair(message, peer)
        if self._token is not None and peer.key == self._token.public:
            raise AuthenticationError("a pairing token admits one request only: Pair")
        if isinstance(message, Hello):
            return self._hello(message, peer)
        if isinstance(message, DumpStacks):
            raise UnknownName("ask a nodegroup for its stacks, not the host")
        application = self._application_of(peer)
        application.heard = time.monotonic()
        groups = application.groups
        match message:
            case RenewLease():
                return None
            case DescribeHost():
                return self._describe(application)
            case Spawn():
                return await groups.spawn(message, self._interface)
            case StopGroup(name, grace):
                return await groups.stop(name, grace)
            case InterruptGroup(name):
                process = groups.find(name).process
                return None if process is None else process.interrupt()
            case KernelConnection(name):
                process = groups.find(name).process
                return None if process is None else process.connection_info()
            case Goodbye(stop_host):
                await self._dismiss(application)
                if stop_host and self._closing is not None:
                    self._closing.set()
                return None
            case _:
                raise UnknownName(f"a host does not serve {type(message).__name__}")

    def _pair(self, message: Pair, peer: Peer) -> None:
        if self._token is None or peer.key != self._token.public:
            raise AuthenticationError("pairing needs an unused token; start the host again for another")
        self._keyring.authorize(message.public_key, f"paired {time.strftime('%Y-%m-%d %H:%M:%S')}")
        self._token = None
        log.info("paired with key %s", message.public_key)

    def _hello(self, message: Hello, peer: Peer) -> Welcome:
        if message.protocol != PROTOCOL:
            raise VersionMismatch(
                f"host {self.name!r} runs pyacq_lab {__version__} (protocol {PROTOCOL}), the manager "
                f"{message.version} (protocol {message.protocol}): install the same version on both"
            )
        application = self._applications.get(message.application)
        if application is None:
            application = self._applications[message.application] = Application(
                message.application,
                peer.key,
                Groups(self._launcher, self._bootstrap, self._clock, self.name, lambda *_: None),
                peer.routing_id,
                message.lease,
                time.monotonic(),
            )
        elif application.key != peer.key:
            raise AuthenticationError("this application belongs to another key")
        application.routing_id, application.gone_since = peer.routing_id, None
        application.groups.notify = lambda topic, value: self._tell(application, topic, value)
        return Welcome(self.name, os.getpid(), __version__, self._clock.now_ns())

    def _tell(self, application: Application, topic: str, value: Any) -> None:
        self._server.notify(application.routing_id, topic, value)

    def _application_of(self, peer: Peer) -> Application:
        for application in self._applications.values():
            if application.routing_id == peer.routing_id and application.key == peer.key:
                return application
        raise LifecycleError(f"host {self.name!r} does not know this manager: say Hello first")

    def _bootstrap(self, request: Spawn, newborn: KeyPair) -> dict[str, Any]:
        return {
            "host": self.name,
            "name": request.name,
            "interface": self._interface,
            "application_secret": request.application_secret,
            "newborn_secret": newborn.secret,
            "report_endpoint": self._births.endpoint,
            "report_key": self._keys.public,
            "anchor_ns": self._clock.anchor_ns,
        }

    def _describe(self, application: Application) -> HostStatus:
        memory = psutil.virtual_memory()
        return HostStatus(
            name=self.name,
            endpoint=self.endpoint,
            pid=os.getpid(),
            platform=platform.platform(terse=True),
            python=platform.python_version(),
            version=__version__,
            cpu_count=psutil.cpu_count() or 1,
            cpu_percent=psutil.cpu_percent(),
            memory_total=memory.total,
            memory_available=memory.available,
            groups=application.groups.statuses(),
        )

    async def _watch(self) -> None:
        """Give up managers that hung up and did not come back, or were silent for their whole lease."""
        now = time.monotonic()
        for application in list(self._applications.values()):
            if self._server.notify(application.routing_id, "alive", None):
                application.gone_since = None
            elif application.gone_since is None:
                application.gone_since = now
            hung_up = application.gone_since is not None and now - application.gone_since > HANG_UP_GRACE
            silent = now - application.heard > application.lease
            if hung_up or silent:
                why = "hung up" if hung_up else f"was silent for {application.lease:g} s"
                log.warning("a manager %s: its nodegroups end", why)
                await self._dismiss(application)

    async def _dismiss(self, application: Application) -> None:
        self._applications.pop(application.id, None)
        await application.groups.close()
