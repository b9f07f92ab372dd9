"""Handles of hosts."""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any

from pyacq_lab._version import __version__
from pyacq_lab.errors import PyacqError, UnknownName
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.remote import Spawned, Welcome
from pyacq_lab.model.status import GroupStatus, HostStatus
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.transport.sockets import parse_endpoint
from pyacq_lab.wire.messages import PROTOCOL, DescribeHost, Goodbye, Hello, Pair, RenewLease, Spawn

if TYPE_CHECKING:
    from pyacq_lab.manager.manager import Manager

log = logging.getLogger(__name__)

LEASE = 30.0
"""Seconds of silence after which a host gives a manager up."""

RENEW_PERIOD = 2.0

SPAWN_TIMEOUT = 90.0


class HostHandle:
    """A host server that the manager is connected to.

    Attributes
    ----------
    manager : Manager
        Whose connection it is.
    endpoint : str
        Where the host listens.
    name : str
        The name it gives itself, made unique in the application.
    client : RpcClient
        Its control connection.
    """

    def __init__(self, manager: Manager, endpoint: str, public_key: str, token: str | None = None) -> None:
        self.manager = manager
        self.endpoint = endpoint
        self.public_key = public_key
        self.groups: dict[str, NodeGroupHandle] = {}
        self._leaving = False
        self._lock = threading.Lock()
        self.name = endpoint
        if token is not None:
            self._pair(token)
        self.client = self._connect(manager.user_keys)
        self.welcome: Welcome = self.client.call(self._hello())
        self.name = manager.free_host_name(self.welcome.name)
        self.client.where = f"host {self.name}"
        self._renewal = manager.reactor.call_every(RENEW_PERIOD, self._renew)

    def __repr__(self) -> str:
        state = "connected" if self.client.connected else "connection lost"
        return f"<host {self.name} at {self.endpoint}: {state}, {len(self.groups)} nodegroups>"

    def create_nodegroup(
        self,
        name: str | None = None,
        *,
        python: str | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
    ) -> NodeGroupHandle:
        """Start a nodegroup on this host; returns when it answers.

        Parameters
        ----------
        name : str, optional
            Unique in the application; made up unless given.
        python : str, optional
            Another Python interpreter on that host, which has this package.
        cwd : str, optional
            Its working folder over there.
        env : dict of str, optional
            Environment variables on top of the host's.

        Raises
        ------
        ProcessDied
            It ended before it was ready; the message holds its last words.
        """
        name = self.manager.free_group_name(name)
        request = Spawn(
            name, secrets.token_hex(8), self.manager.application_keys.secret, python, cwd, env or {}
        )
        spawned: Spawned = self.client.call(request, SPAWN_TIMEOUT)
        group = NodeGroupHandle(self, spawned, self.manager.reactor, self.manager.application_keys)
        try:
            group.client.wait_connected()
            self.manager.logs.connect(group.log_endpoint, group.public_key, group.log_source)
        except BaseException:
            group.release()
            raise
        with self._lock:
            self.groups[name] = group
        return group

    def status(self) -> HostStatus:
        """Snapshot of the machine and of this manager's nodegroups on it."""
        return self.client.call(DescribeHost(), 5.0)

    def disconnect(self, stop_host: bool = False) -> None:
        """End this manager's nodegroups here and disconnect; the host goes on unless told to stop."""
        self._leaving = True
        self.manager.reactor.cancel(self._renewal)
        try:
            if self.client.connected:
                self.client.call(Goodbye(stop_host), 30.0)
        except PyacqError as error:
            log.warning("host %s could not be told goodbye: %s", self.name, error)
        for group in list(self.groups.values()):
            group.mark_ended(group.ending or "its host was disconnected")
            self.forget(group)
        self.client.close()

    def forget(self, group: NodeGroupHandle) -> None:
        """Close the connections to a nodegroup that has ended; its last words are taken first."""
        self.manager.logs.disconnect(group.log_source)
        group.release()
        with self._lock:
            self.groups.pop(group.name, None)

    # --- addresses

    def reachable_ip(self, ip: str) -> str:
        """IP address as seen from elsewhere: a host that listens everywhere is reached as the user did."""
        return parse_endpoint(self.endpoint)[0] if ip in ("0.0.0.0", "[::]", "::", "*") else ip

    def reachable_endpoint(self, endpoint: str) -> str:
        """Endpoint as seen from elsewhere."""
        ip, port = parse_endpoint(endpoint)
        return f"tcp://{self.reachable_ip(ip)}:{port}"

    # --- connection

    def _connect(self, keys: KeyPair) -> RpcClient:
        client = RpcClient(
            self.manager.reactor,
            self.endpoint,
            self.public_key,
            keys=keys,
            where=f"host {self.name}",
            on_event=self._on_event,
            on_lost=self._on_lost,
            on_back=self._on_back,
        )
        try:
            client.wait_connected()
        except BaseException:
            client.close()
            raise
        return client

    def _pair(self, token: str) -> None:
        client = self._connect(KeyPair.from_secret(token))
        try:
            client.call(Pair(self.manager.user_keys.public))
        finally:
            client.close()

    def _hello(self) -> Hello:
        return Hello(PROTOCOL, __version__, self.manager.id, LEASE)

    # --- the reactor's thread

    def _renew(self) -> None:
        if self.client.connected:
            self.client.request(RenewLease(), 5.0)

    def _on_event(self, topic: str, value: Any) -> None:
        if topic == "log" and isinstance(value, LogRecord):
            self.manager.logs.add(value)
        elif topic == "group_state" and isinstance(value, GroupStatus):
            group = self.groups.get(value.name)
            if group is not None and group.pid == value.pid and value.state == "died":
                group.mark_ended(value.ending)

    def _on_lost(self) -> None:
        if self._leaving:
            return
        log.error("the connection to host %s at %s is lost; trying to get it back", self.name, self.endpoint)

    def _on_back(self) -> None:
        log.warning("host %s is connected again", self.name)
        self.client.request(self._hello(), 5.0)

    def get_nodegroup(self, name: str) -> NodeGroupHandle:
        """Handle of a nodegroup of this host. Raises UnknownName."""
        try:
            return self.groups[name]
        except KeyError:
            known = ", ".join(self.groups) or "none"
            raise UnknownName(f"host {self.name!r} has no nodegroup {name!r} (it has: {known})") from None
