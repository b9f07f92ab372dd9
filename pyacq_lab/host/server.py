"""The host server: one per machine, for any number of managers."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

from pyacq_lab._version import __version__
from pyacq_lab.errors import AuthenticationError, LifecycleError, UnknownName, VersionMismatch
from pyacq_lab.host import machine
from pyacq_lab.host.application import Application
from pyacq_lab.host.backlog import ANYBODY, Backlog
from pyacq_lab.host.groups import Groups
from pyacq_lab.host.runtime import RuntimeFolder
from pyacq_lab.host.voice import HostVoice, concerning
from pyacq_lab.kernel.launcher import Launcher
from pyacq_lab.model.remote import Welcome
from pyacq_lab.model.versions import packages
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keyring import Keyring
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.loglevels import set_log_level
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import Peer, RpcServer
from pyacq_lab.transport.sockets import HEARTBEAT_TIMEOUT, parse_endpoint
from pyacq_lab.wire import messages
from pyacq_lab.wire.messages import (
    PROTOCOL,
    AskPostMortem,
    AttachGroup,
    DescribeHost,
    DumpStacks,
    Goodbye,
    Hello,
    HostRequest,
    InterruptGroup,
    KeptLogs,
    KernelConnection,
    LastWords,
    ListGroups,
    Pair,
    Ping,
    RenewLease,
    SetLogLevel,
    SignalGroup,
    Spawn,
    StopGroup,
)

log = logging.getLogger(__name__)

WATCH_PERIOD = 0.5
"""Seconds between two looks at whether the managers are still there."""

DISMISS_GRACE = 2.0
"""Seconds that the nodegroups of a manager that is gone have to close their nodes."""

_REMEMBERED = 100  # managers that were given up, and may come back to ask why


class HostServer:
    """Starts, watches and ends nodegroups on this machine for managers that prove an authorised key.

    Made in the event loop's thread, in which everything but `stop` is called. Whatever the address: a
    peer that does not prove an authorised key gets nowhere, and there is no way to switch that off.

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
    clock : SystemClock, optional
        By which the host and its nodegroups tell the time; the machine's unless given.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        name: str | None = None,
        keyring: Keyring | None = None,
        pairing: bool = True,
        clock: SystemClock | None = None,
    ) -> None:
        self.name = name or platform.node()
        self._interface, _ = parse_endpoint(endpoint)
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._wanted = endpoint
        self._keyring = keyring or Keyring()
        self._keys = self._keyring.host()
        self._token = KeyPair.generate() if pairing else None
        self._clock = clock or SystemClock()
        self._applications: dict[str, Application] = {}
        self._leaving: list[Application] = []
        self._dismissals: set[asyncio.Task[None]] = set()
        self._backlog = Backlog(self.name)
        self._given_up: OrderedDict[str, str] = OrderedDict()
        self._folder = RuntimeFolder()
        self._launcher = Launcher(self._folder.path / "kernels")
        self._reactor = Reactor("pyacq-host")

    async def start(self) -> None:
        """Begin to listen.

        Raises
        ------
        ConfigurationError
            It cannot listen at its endpoint; nothing is left behind.
        """
        try:
            self._listen()
        except BaseException:
            await asyncio.to_thread(self._reactor.close)
            self._folder.remove()
            raise
        self._backlog.take_over()
        self._folder.sweep()
        await self._launcher.start()

    def _listen(self) -> None:
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
    def endpoint_for_others(self) -> str:
        """Endpoint to paste into a notebook: where it listens at all addresses, with one of them."""
        ip, port = parse_endpoint(self.endpoint)
        return f"tcp://{machine.address_for_others() if ip == '0.0.0.0' else ip}:{port}"

    @property
    def invitation(self) -> str:
        """Key to paste into a notebook: the public key, and the pairing token while it is unused."""
        return self._keys.public + (self._token.secret if self._token else "")

    def voice(self) -> HostVoice:
        """What takes the host's own log records to the managers. Called in the event loop's thread."""
        return HostVoice(
            self.name,
            self._clock,
            lambda: [*self._applications.values(), *self._leaving],
            self._loop,
            lambda words: self._backlog.keep_own(ANYBODY, words),
        )

    async def serve(self) -> None:
        """Serve until `stop` is called, then end all nodegroups."""
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
        self._loop.call_soon_threadsafe(self._closing.set)

    async def close(self) -> None:
        """End all nodegroups and stop listening."""
        await asyncio.gather(
            *(self._dismiss(a, 3.0, "its host was told to end") for a in list(self._applications.values())),
            *self._dismissals,
        )
        self._backlog.close()
        self._server.close()
        await self._launcher.close()
        await asyncio.to_thread(self._reactor.close)
        self._folder.remove()

    # --- the reactor's thread

    def _admits(self, key: str) -> bool:
        token = self._token
        return key in self._keyring.authorized() or (token is not None and key == token.public)

    def _on_request(self, message: Any, peer: Peer) -> Any | Future[Any]:
        if isinstance(message, Ping):
            return self._clock.now_ns()
        return asyncio.run_coroutine_threadsafe(self._serve_one(message, peer), self._loop)

    # --- the event loop

    async def _serve_one(self, message: Any, peer: Peer) -> Any:
        if isinstance(message, Pair):
            return self._pair(message, peer)
        if peer.key not in self._keyring.authorized():
            # A pairing token admits this one request; a key may have been withdrawn since it connected.
            raise AuthenticationError(
                f"this side's key is not authorised on host {self.name!r} (any more): its "
                f"{self._keyring.folder / 'authorized_keys'} does not hold it"
            )
        if isinstance(message, Hello):
            return self._hello(message, peer)
        if isinstance(message, DumpStacks):
            raise UnknownName("ask a nodegroup for its stacks, not the host")
        if isinstance(message, SetLogLevel):
            return set_log_level(message.logger, message.level)
        application = self._application_of(peer)
        application.heard = time.monotonic()
        with concerning(application.id):
            return await self._serve_application(message, application)

    async def _serve_application(self, message: Any, application: Application) -> Any:
        groups = application.groups
        match message:
            case RenewLease(heard):
                application.hear(heard)
                return None
            case messages.Backlog(since):
                present = [a.id for a in self._applications.values()]
                return self._backlog.read(application.key, application.id, present, since)
            case DescribeHost():
                return machine.describe(self.name, self.endpoint, groups.statuses())
            case ListGroups():
                return groups.statuses()
            case AttachGroup(name):
                return await groups.attach(name)
            case SignalGroup(name, signum):
                return groups.running(name).send_signal(signum)
            case AskPostMortem(name):
                return groups.find(name).post_mortem
            case LastWords(name, pid, since):
                return groups.last_words(name, pid, since)
            case KeptLogs(since):
                return [r for event in application.journal.after(since, "log") for r in event.value]
            case Spawn():
                return await groups.spawn(message, self._interface)
            case StopGroup(name, grace):
                return await groups.stop(name, grace)
            case InterruptGroup(name):
                return groups.running(name).interrupt()
            case KernelConnection(name):
                return groups.running(name).connection_info()
            case Goodbye(stop_host, heard):
                application.hear(heard)
                await self._dismiss(application, DISMISS_GRACE)
                if stop_host:
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
        if self._closing.is_set():
            raise LifecycleError(f"host {self.name!r} is ending")
        application = self._applications.get(message.application)
        resumed = application is not None
        if application is None:
            application = self._applications[message.application] = self._new_application(message, peer)
        elif application.key != peer.key:
            raise AuthenticationError("this application belongs to another key")
        else:
            application.resume(peer.routing_id, message.heard, message.lease, time.monotonic())
        return Welcome(
            self.name,
            os.getpid(),
            __version__,
            self._clock.now_ns(),
            resumed,
            self._given_up.pop(message.application, ""),
            platform.platform(terse=True),
            platform.python_version(),
            packages(),
        )

    def _new_application(self, message: Hello, peer: Peer) -> Application:
        application = Application(
            message.application,
            peer.key,
            peer.routing_id,
            message.lease,
            time.monotonic(),
            self._server.notify,
            # The last word may have been said a while before the silence began.
            HEARTBEAT_TIMEOUT - WATCH_PERIOD,
            self._loop.call_soon,
        )
        application.groups = Groups(
            self._launcher, self._bootstrap, self._clock, self.name, application.notify, application.tell
        )
        return application

    def _application_of(self, peer: Peer) -> Application:
        # Where the host itself ends, those that it takes leave of are still told all of it.
        leaving = self._leaving if self._closing.is_set() else []
        for application in (*self._applications.values(), *leaving):
            if application.routing_id == peer.routing_id and application.key == peer.key:
                return application
        raise LifecycleError(f"host {self.name!r} does not know this manager: say Hello first")

    def _bootstrap(self, request: Spawn) -> dict[str, Any]:
        return {
            "host": self.name,
            "name": request.name,
            "interface": self._interface,
            "application_secret": request.application_secret,
            "anchor_ns": self._clock.anchor_ns,
            "server_secret": request.server_secret,
            "port": request.port,
        }

    async def _watch(self) -> None:
        """Give up managers that hung up and did not come back, or were silent for their whole lease."""
        given_up = {a: why for a in self._applications.values() if (why := a.look(time.monotonic()))}
        for application, why in given_up.items():
            with concerning(application.id):
                log.warning(
                    "manager %s %s: its nodegroups on this host end: %s",
                    application.id,
                    why,
                    ", ".join(application.groups.living) or "there are none",
                )
            application.give_up(why)
            self._given_up[application.id] = why
            while len(self._given_up) > _REMEMBERED:
                self._given_up.popitem(last=False)
            dismissal = asyncio.create_task(self._dismiss(application, DISMISS_GRACE, f"its manager {why}"))
            self._dismissals.add(dismissal)
            dismissal.add_done_callback(self._dismissals.discard)

    async def _dismiss(self, application: Application, grace: float, why: str = "") -> None:
        """End a manager's nodegroups; what it has not heard is kept for the next one of its key.

        Where they end for another reason than that it asked for it, ``why`` says so.
        """
        if self._applications.pop(application.id, None) is None:
            return
        self._leaving.append(application)  # what is said of it meanwhile belongs to it
        try:
            with concerning(application.id):
                await application.groups.close(grace, why)
                for message in application.groups.unheard():
                    self._backlog.keep(application.key, [message])
                    await asyncio.sleep(0)  # there may be much of it, and others are served meanwhile
            await asyncio.sleep(0)  # what was logged last is told in the loop's next pass
        finally:
            self._leaving.remove(application)
        self._backlog.keep(application.key, application.holes())
        self._backlog.keep_records(application.key, application.unheard_records())
        for other in self._applications.values():
            if other.key == application.key:
                other.notify("backlog", None)  # it was there before: it asks once more
