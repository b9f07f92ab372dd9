"""What programs tell each other of what they run."""

from __future__ import annotations

import msgspec


class Welcome(msgspec.Struct, frozen=True):
    """A host's answer to `Hello`.

    Attributes
    ----------
    name : str
        The host's name.
    pid : int
        Process id of the host server.
    version : str
        Version of this package there.
    clock_ns : int
        Its clock, ns since 1970 UTC.
    resumed : bool
        It knew this manager already, and still has its nodegroups. False for one that is new here, or
        that had been given up.
    given_up : str
        Why an earlier connection of this manager was given up; empty where none was.
    platform, python : str
        Operating system and Python version.
    packages : dict of str
        Versions of the packages that nodegroups there build on, by name.
    """

    name: str
    pid: int
    version: str
    clock_ns: int
    resumed: bool = False
    given_up: str = ""
    platform: str = ""
    python: str = ""
    packages: dict[str, str] = {}


class Reachable(msgspec.Struct, frozen=True):
    """What a nodegroup reports when it is ready: where it listens, and the key it proves there."""

    endpoint: str
    public_key: str
    log_endpoint: str


class Spawned(msgspec.Struct, frozen=True):
    """A host's answer to `Spawn`: where the nodegroup is."""

    name: str
    pid: int
    endpoint: str
    public_key: str
    log_endpoint: str


class MethodInfo(msgspec.Struct, frozen=True):
    """A public method of a remote object: what a handle needs to look like it."""

    name: str
    signature: str
    doc: str


class Reference(msgspec.Struct, frozen=True):
    """Something in another process, by its address: what a handle is on the wire.

    Attributes
    ----------
    endpoint, public_key : str
        Where its process listens and the key that it proves there; both empty for something at the
        sender's own end of the connection that the reference travels on.
    target : str
        ``"group"``, ``"manager"``, ``"node:NAME"``, ``"input:NODE/NAME"``, ``"output:NODE/NAME"``,
        ``"object:NUMBER"`` or ``"function:NUMBER"``.
    where : str
        The place that errors and reprs name.
    type : str
        Name of its type.
    """

    endpoint: str
    public_key: str
    target: str
    where: str
    type: str = ""


class ObjectInfo(msgspec.Struct, frozen=True):
    """Any remote object: what its handle needs to look like it."""

    type: str
    doc: str
    methods: tuple[MethodInfo, ...] = ()
    attributes: tuple[str, ...] = ()


class NodeInfo(msgspec.Struct, frozen=True):
    """A node as it was made: what its handle needs to know; ``wants_rig`` as of `Sink`."""

    name: str
    type: str
    role: str
    doc: str
    methods: tuple[MethodInfo, ...] = ()
    attributes: tuple[str, ...] = ()
    wants_rig: bool = False
