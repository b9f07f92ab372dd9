"""The program of a nodegroup: a Jupyter kernel in the main thread, nodes and their server beside it."""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.kernel.app import run_kernel
from pyacq_lab.kernel.child import Launched
from pyacq_lab.kernel.prints import Printed
from pyacq_lab.model.remote import Reachable
from pyacq_lab.node.context import NodeContext
from pyacq_lab.nodegroup.api import NodeGroupApi
from pyacq_lab.nodegroup.neighbours import Neighbours
from pyacq_lab.nodegroup.server import GroupServer
from pyacq_lab.transport.capture import LogCapture
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin, is_hushed
from pyacq_lab.transport.logship import LogShipper
from pyacq_lab.transport.logsocket import open_log_socket
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import RpcServer
from pyacq_lab.transport.spool import open_spool
from pyacq_lab.wire.messages import GroupRequest

log = logging.getLogger(__name__)

SWITCH_INTERVAL = 0.001
"""Seconds that a busy thread, such as a cell's, keeps the interpreter from the threads that serve calls."""


class Bootstrap(msgspec.Struct, frozen=True):
    """What a host tells the nodegroups it starts. Holds secrets.

    Attributes
    ----------
    host : str
        The host's name.
    name : str
        The nodegroup's name.
    interface : str
        IP address at which the nodegroup's sockets listen.
    application_secret : str
        Secret half of the key pair that the application's processes know each other by.
    anchor_ns : int
        The host's clock; see `transport.clock.SystemClock`.
    server_secret : str
        Secret half of the key pair that it proves itself by; a new one where it is empty.
    port : int
        TCP port at which it is to listen where that is free.
    """

    host: str
    name: str
    interface: str
    application_secret: str
    anchor_ns: int
    server_secret: str = ""
    port: int = 0


class NodeGroupProgram:
    """Everything that a nodegroup's process holds, made and put away in order."""

    def __init__(self, bootstrap: Bootstrap, spool: str = "", spill: str = "") -> None:
        self.bootstrap = bootstrap
        self.reactor = Reactor()
        self.clock = SystemClock(bootstrap.anchor_ns)
        secret = bootstrap.server_secret
        self.keys = KeyPair.from_secret(secret) if secret else KeyPair.generate()
        application = KeyPair.from_secret(bootstrap.application_secret)

        def allow(key: str) -> bool:
            return key == application.public

        where = f"{bootstrap.host}/{bootstrap.name}"
        router, self.log_endpoint = open_log_socket(self.reactor, self.keys, allow, bootstrap.interface)
        self.shipper = LogShipper(
            router,
            LogOrigin(host=bootstrap.host, process=bootstrap.name),
            self.clock,
            spool=open_spool(spool) if spool else None,
            spill=Path(spill) if spill else None,
        )
        self.capture = LogCapture(self.shipper)
        # Until the kernel takes Python's streams over they lead to the host, which would tell it again.
        self.capture.last_resort = False
        context = NodeContext(
            reactor=self.reactor,
            server_keys=self.keys,
            client_keys=application,
            allow=allow,
            interface=bootstrap.interface,
            clock=self.clock,
            on_change=lambda node: self.handler.tell_changed(node),
        )
        self.api = NodeGroupApi(bootstrap.name, context)
        self.neighbours = Neighbours(self.reactor, application, self.keys.public)
        self.handler = GroupServer(self.api, self.clock, self.reactor, self.neighbours, where)
        serve = partial(
            RpcServer,
            self.reactor,
            keys=self.keys,
            allow=allow,
            vocabulary=GroupRequest,
            handler=self.handler.handle,
            where=where,
            works=True,
            adopt=self.handler.adopt,
        )
        try:
            self.server = serve(f"tcp://{bootstrap.interface}:{bootstrap.port}")
        except ConfigurationError:  # somebody else has it by now
            self.server = serve(f"tcp://{bootstrap.interface}:0")
        self.handler.serve(self.server)

    @property
    def reachable(self) -> Reachable:
        """Where it listens."""
        return Reachable(self.server.endpoint, self.keys.public, self.log_endpoint)

    def print_line(self, line: Printed) -> None:
        """Send a printed line to the log server; any thread."""
        if not is_hushed():
            level = logging.WARNING if line.stream == "stderr" else logging.INFO
            self.shipper.say(line.text, stream=line.stream, level=level, thread=line.thread, node=line.node)

    def begin(self, launched: Launched) -> None:
        """Say that it is there. Called in the main thread, right before the kernel's loop runs."""
        self.capture.watch_loop(asyncio.get_event_loop())
        self.capture.last_resort = True
        launched.report(msgspec.to_builtins(self.reachable))

    def close(self) -> None:
        """Close the nodes, say the last words, release everything."""
        self.handler.unfollow()
        try:
            self.api.close()
        except Exception:
            log.exception("a node could not be closed")
        self.handler.close()
        self.server.close()
        self.neighbours.close()
        self.capture.uninstall()
        self.shipper.close()
        self.reactor.close()


def main(launched: Launched) -> int:
    """Run a nodegroup; called in its process's main thread. Returns the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    program = NodeGroupProgram(msgspec.convert(launched.bootstrap, Bootstrap), launched.spool, launched.spill)
    program.capture.install(logging.INFO)
    namespace: dict[str, Any] = {"nodegroup": program.api, "nodes": program.api.nodes}
    return run_kernel(
        launched.connection_file,
        namespace=namespace,
        banner=f"nodegroup {program.bootstrap.name} on {program.bootstrap.host}",
        on_started=lambda: program.begin(launched),
        on_print=program.print_line,
        on_closing=program.close,
        on_unfinished=program.shipper.unfinished,
        watch_cells=program.capture.watch_cells,
    )
