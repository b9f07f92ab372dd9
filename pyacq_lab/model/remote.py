"""What programs tell each other of what they run."""

from __future__ import annotations

import msgspec


class Welcome(msgspec.Struct, frozen=True):
    """A host's answer to `Hello`."""

    name: str
    pid: int
    version: str
    clock_ns: int


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


class NodeInfo(msgspec.Struct, frozen=True):
    """A node as it was made: what its handle needs to know."""

    name: str
    type: str
    role: str
    doc: str
    methods: tuple[MethodInfo, ...] = ()
