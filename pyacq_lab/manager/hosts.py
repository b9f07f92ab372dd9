"""Handles of hosts."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import msgspec

from pyacq_lab._version import __version__
from pyacq_lab.errors import (
    AuthenticationError,
    HostUnreachable,
    LifecycleError,
    ProcessDied,
    PyacqError,
    UnknownName,
)
from pyacq_lab.manager.clockwatch import ClockWatch
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.manager.lastwords import BacklogHeard
from pyacq_lab.manager.revival import RestartPolicy
from pyacq_lab.model.choices import check_choice
from pyacq_lab.model.clock import ClockOffset
from pyacq_lab.model.loglevels import check_level, check_logger_name
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.names import check_environment, path_text
from pyacq_lab.model.remote import Spawned, Welcome
from pyacq_lab.model.status import GroupStatus, HostStatus, PostMortem
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.transport.sockets import parse_endpoint, refuses
from pyacq_lab.wire.envelope import Event
from pyacq_lab.wire.messages import (
    PROTOCOL,
    AskPostMortem,
    AttachGroup,
    DescribeHost,
    Goodbye,
    Hello,
    KeptLogs,
    ListGroups,
    Pair,
    RenewLease,
    SetLogLevel,
    Spawn,
    StopGroup,
)

if TYPE_CHECKING:
    from pyacq_lab.manager.manager import Manager

log = logging.getLogger(__name__)

RENEW_PERIOD = 1.0
"""Seconds between two signs of life, or a quarter of the lease where that is shorter."""

SPAWN_TIMEOUT = 90.0

_GRACE = 2.0
"""Seconds that nodegroups have to end when their manager leaves."""

_TOKEN_IS_SPENT = (
    "the pairing token behind the host's key is not valid (any more): it pairs once, and until the host "
    "is started again; start the host again, or have this machine's user.key put into its authorized_keys"
)


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
    welcome : Welcome
        What it said of itself: versions, operating system, packages.
    is_own : bool
        Whether it is the manager's own, which lives and dies with it.
    """

    def __init__(self, manager: Manager, endpoint: str, public_key: str, token: str | None = None) -> None:
        self.manager = manager
        self.endpoint = endpoint
        self.public_key = public_key
        self.groups: dict[str, NodeGroupHandle] = {}
        self.is_own = False
        self._leaving = threading.Event()
        self._looking = False
        self._lock = threading.Lock()
        self._heard = 0
        self._backlog: BacklogHeard | None = None
        self.name = endpoint
        paired = token is None or self._pair(token)
        self.client = self._connect(manager.user_keys, hint="" if paired else _TOKEN_IS_SPENT)
        try:
            self.welcome: Welcome = self.client.call(self._hello(), 5.0)
            self.name = manager.free_host_name(self.welcome.name)
            self.client.where = f"host {self.name}"
            self._clock_watch = ClockWatch(self.client, manager.clock, self.name, self._correct)
            self._clock_watch.measure()
        except BaseException:
            self.client.close()
            raise
        self._hear_backlog()
        self._renewal = manager.reactor.call_every(min(RENEW_PERIOD, manager.lease / 4), self._renew)

    def __repr__(self) -> str:
        state = (
            "connected"
            if self.client.connected
            else "disconnected"
            if self._leaving.is_set()
            else "connection lost"
        )
        alive = [group for group in list(self.groups.values()) if group.alive]
        return f"<host {self.name} at {self.endpoint}: {state}, {len(alive)} nodegroups>"

    @property
    def log_place(self) -> str:
        """Whose records are of this host, as ``source=`` of `Manager.logs` takes it."""
        return f"{self.name}/"

    @property
    def clock(self) -> ClockOffset:
        """How the host's clock stands to the manager's now: offset, drift, uncertainty.

        It is measured from when the host is connected on. Records are sorted by it.
        """
        return self._clock_watch.now()

    def create_nodegroup(
        self,
        name: str | None = None,
        *,
        python: str | os.PathLike[str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: dict[str, str] | None = None,
        restart: RestartPolicy = "never",
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
        restart : {'never', 'on-failure'}
            Whether it is started again, with its nodes, when its process dies unasked: see
            `NodeGroupHandle.restart`. Not more than 5 times within a minute.

        Raises
        ------
        ProcessDied
            It ended before it was ready; the message holds its last words.
        """
        check_choice("restart", restart, RestartPolicy)
        name = self.manager.free_group_name(name)
        check_environment(env or {})
        python, cwd = path_text(python, "python"), path_text(cwd, "cwd")
        request = Spawn(
            name,
            secrets.token_hex(8),
            self.manager.application_keys.secret,
            python,
            cwd,
            env or {},
            KeyPair.generate().secret,
        )
        return self.adopt(NodeGroupHandle(self, self.spawn(request), request, restart))

    def attach_nodegroup(self, name: str) -> NodeGroupHandle:
        """Handle of a nodegroup that this manager has on the host; a new one where there is none here.

        Raises
        ------
        UnknownName, LifecycleError
            This manager has no such nodegroup there; it has ended.
        """
        there = self.groups.get(name)
        if there is not None and there.alive:
            return there
        spawned: Spawned = self.client.call(AttachGroup(name), 10.0)
        return self.adopt(NodeGroupHandle(self, spawned))

    def list_nodegroups(self) -> list[GroupStatus]:
        """Snapshot of every nodegroup that this manager has there, ended ones too, as the host sees it."""
        return list(self.client.call(ListGroups(), 5.0))

    def post_mortem(self, name: str) -> PostMortem | None:
        """How a nodegroup's process ended, as the host keeps it; None while it runs. Raises UnknownName."""
        return self.client.call(AskPostMortem(name), 5.0)

    def kept_logs(self) -> list[LogRecord]:
        """Records that the host itself has sent for its nodegroups, as far as it keeps them.

        They are what processes wrote by descriptor, and how they ended; the log server has had them.
        """
        return [self._ours(record) for record in self.client.call(KeptLogs(), 5.0)]

    def set_log_level(self, level: int | str, logger: str = "") -> str:
        """Set the level of one of the host server's own loggers, for all managers that hear it.

        Parameters and errors are those of `NodeGroupHandle.set_log_level`.

        Returns
        -------
        str
            Name of the level that it had before.
        """
        message = SetLogLevel(check_logger_name(logger), check_level(level))
        return logging.getLevelName(self.client.call(message, 5.0))

    def status(self) -> HostStatus:
        """Snapshot of the machine and of this manager's nodegroups on it."""
        return self.client.call(DescribeHost(), 5.0)

    def disconnect(self, stop_host: bool = False) -> None:
        """End this manager's nodegroups here and disconnect; the host goes on unless told to stop."""
        self._leaving.set()
        revivals = [group.revival for group in self.groups.values()]
        for revival in revivals:
            revival.call_off()
        self.manager.reactor.cancel(self._renewal)
        was_there = self.client.connected
        try:
            if was_there:
                self._end_groups()
                self.client.call(Goodbye(stop_host, self._heard), 30.0)
        except PyacqError as error:
            # A host that is told to end may be gone before its answer has left.
            if not (stop_host and isinstance(error, ProcessDied)):
                log.warning("host %s could not be told goodbye: %s", self.name, error)
        groups = list(self.groups.values())
        for group in groups:
            if was_there:
                group.mark_ended(group.ending or "its host was disconnected")
            else:
                group.mark_gone(f"ended with its host {self.name}, which is gone")
        self.forget(*groups)
        self.client.close()
        for revival in revivals:
            revival.wait()
        self.manager.log_server.end(self.name, "host", self.welcome.pid)

    def _end_groups(self) -> None:
        """End all nodegroups at once, and take in what they had still to say: the host forgets it with us."""
        groups = [group for group in self.groups.values() if not group.ending]
        ends = [self.client.request(StopGroup(group.name, _GRACE), 30.0) for group in groups]
        for group, end in zip(groups, ends, strict=True):
            try:
                status: GroupStatus = end.result()
                group.mark_ended(status.ending or "its host was disconnected", self.post_mortem(group.name))
            except PyacqError as error:
                log.warning("%s could not be ended before goodbye, which ends it too: %s", group.where, error)
        for group in list(self.groups.values()):  # also those that had died just before
            group.hear_out()

    def forget(self, *groups: NodeGroupHandle) -> None:
        """Close the connections to nodegroups that have ended; their last words are taken first."""
        # Words of a host that is gone are not waited for; from one that is slow they come slowly.
        patience = None if self.client.connected else 0.0
        unheard = [group.log_source for group in groups if not group.hear_out(patience)]
        if self.client.connected:  # it had kept nothing: there is only what was sent
            self.manager.log_server.disconnect(*unheard, timeout=0.5)
        self.manager.log_server.disconnect(*(group.log_source for group in groups), timeout=0.0)
        for group in groups:
            group.release()
            self.manager.log_server.end(self.name, group.name, group.pid)
            with self._lock:
                if self.groups.get(group.name) is group:
                    del self.groups[group.name]

    # --- for handles

    def spawn(self, request: Spawn) -> Spawned:
        """Have a process started; see `create_nodegroup`."""
        try:
            return self.client.call(request, SPAWN_TIMEOUT)
        except KeyboardInterrupt:
            self.client.request(StopGroup(request.name, 0.0), 30.0)  # nobody would know of it
            raise

    def adopt(self, group: NodeGroupHandle) -> NodeGroupHandle:
        """Take a nodegroup that was started among ours."""
        with self._lock:
            self.groups[group.name] = group  # before it is reached: news of it may come at once
        try:
            group.connect()
        except BaseException:
            with self._lock:
                self.groups.pop(group.name, None)
            raise
        return group

    def _correct(self, offset_ns: int) -> None:
        """Have records of this host corrected by its clock minus ours."""
        self.manager.log_server.set_offset(self.name, offset_ns)

    # --- addresses

    def reachable_ip(self, ip: str) -> str:
        """IP address as seen from elsewhere: a host that listens everywhere is reached as the user did."""
        return parse_endpoint(self.endpoint)[0] if ip in ("0.0.0.0", "[::]", "::", "*") else ip

    def reachable_endpoint(self, endpoint: str) -> str:
        """Endpoint as seen from elsewhere; one that is not for elsewhere stays as it is."""
        if not endpoint.startswith("tcp://"):
            return endpoint
        ip, port = parse_endpoint(endpoint)
        return f"tcp://{self.reachable_ip(ip)}:{port}"

    # --- connection

    def _connect(self, keys: KeyPair, hint: str = "") -> RpcClient:
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
        except BaseException as error:
            client.close()
            if client.unauthorised and hint:
                raise AuthenticationError(f"{error}; {hint}") from None
            if isinstance(error, HostUnreachable):
                raise HostUnreachable(
                    f"{error}; is `pyacq-lab host {self.endpoint}` running there?"
                ) from None
            raise
        return client

    def _pair(self, token: str) -> bool:
        """Have our key authorised; False where the token is not: it may have done so earlier."""
        try:
            client = self._connect(KeyPair.from_secret(token))
        except AuthenticationError:
            return False
        try:
            client.call(Pair(self.manager.user_keys.public), 5.0)
        finally:
            client.close()
        return True

    def _hello(self) -> Hello:
        return Hello(PROTOCOL, __version__, self.manager.id, self.manager.lease, self._heard)

    # --- the reactor's thread

    def _renew(self) -> None:
        if self.client.connected:
            self._ask(RenewLease(self._heard), self._on_renewed)
        self._clock_watch.look()

    def _ask(self, message: RenewLease | Hello, answered: Callable[[Future[Any]], None]) -> None:
        try:
            self.client.request(message, 5.0).add_done_callback(answered)
        except ProcessDied:
            log.debug("host %s was lost again", self.name)  # it is told by _on_lost, and said by then

    def _on_renewed(self, answer: Future[Any]) -> None:
        if isinstance(answer.exception(), LifecycleError):  # it has given us up: hear why, and begin anew
            self._ask(self._hello(), self._on_welcome)

    def _on_event(self, event: Event) -> None:
        if event.seq:
            if event.seq <= self._heard:
                return  # sent again after a lost connection
            if event.seq > self._heard + 1:
                lost = event.seq - self._heard - 1
                log.warning("host %s has said %d things that it no longer keeps", self.name, lost)
            self._heard = event.seq
        match event.value:
            case [*records] if event.topic == "log":
                self.manager.log_server.add(*(self._ours(record) for record in records))
            case _ if event.topic == "backlog":
                self._hear_backlog()
            case str() as why if event.topic == "given_up":
                self._ask(self._hello(), self._on_welcome)
                self._mourn(f"{self._gave_up} {why}")
            case PostMortem(name=name, pid=pid) as found:
                group = self.groups.get(name)
                if group is not None and group.pid == pid:
                    group.revival.died(found)

    def _ours(self, record: LogRecord) -> LogRecord:
        """A record under the name that its host has here."""
        if record.host == self.name:
            return record
        return msgspec.structs.replace(record, host=self.name)

    def _hear_backlog(self) -> None:
        if self._backlog is None:
            self._backlog = BacklogHeard(self.client, self.manager.log_server, self.name, self.welcome.name)
        self._backlog.hear()

    def _on_lost(self) -> None:
        if self._leaving.is_set():
            return
        log.error("the connection to host %s at %s is lost; trying to get it back", self.name, self.endpoint)
        if not self._looking:
            self._looking = True
            threading.Thread(target=self._look_for_groups, name=f"after {self.name}", daemon=True).start()

    def _look_for_groups(self) -> None:
        """Find out which nodegroups ended while the host cannot tell; a thread of its own.

        Where their machine answers that nothing listens any more, neither at the host's endpoint nor at
        theirs, they are gone: a broken network would not answer.
        """
        try:
            while not (self.client.connected or self._leaving.wait(0.3)):
                alive = [group for group in list(self.groups.values()) if group.alive]
                if not alive:
                    return
                if not refuses(self.endpoint, 1.0):
                    continue
                for group in alive:
                    if not group.client.connected and refuses(group.client.endpoint, 1.0):
                        group.mark_gone(f"ended with its host {self.name}, which is gone")
        finally:
            self._looking = False

    def _on_back(self) -> None:
        self._ask(self._hello(), self._on_welcome)

    def _on_welcome(self, answer: Future[Any]) -> None:
        """Go on with what is still there."""
        error = answer.exception()
        if error is not None:
            log.error("host %s is there again, but did not welcome this manager: %s", self.name, error)
            return
        before, self.welcome = self.welcome, answer.result()
        self._hear_backlog()
        if self.welcome.resumed:
            log.warning("host %s is connected again", self.name)
            self._clock_watch.probe()
            for group in list(self.groups.values()):
                group.hear_rest()
            return
        self._clock_watch.begin_anew()
        self._heard = 0
        if self.welcome.given_up:
            self._mourn(f"{self._gave_up} {self.welcome.given_up}")
        elif self.welcome.pid != before.pid:
            self.manager.log_server.end(self.name, "host", before.pid)
            self._mourn(f"host {self.name} was started again")
        else:
            self._mourn(f"host {self.name} no longer knew this manager")

    @property
    def _gave_up(self) -> str:
        return f"host {self.name} gave this manager up, because it"

    def _mourn(self, why: str) -> None:
        """Note that the host has ended all nodegroups."""
        gone = [group for group in list(self.groups.values()) if group.alive]
        if gone:
            log.error("%s; ended with it: %s", why, ", ".join(group.where for group in gone))
        for group in gone:
            group.mark_gone(f"ended, because {why}")

    def get_nodegroup(self, name: str) -> NodeGroupHandle:
        """Handle of a nodegroup of this host. Raises UnknownName."""
        try:
            return self.groups[name]
        except KeyError:
            known = ", ".join(self.groups) or "none"
            raise UnknownName(f"host {self.name!r} has no nodegroup {name!r} (it has: {known})") from None
