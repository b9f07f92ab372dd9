"""Remote calls over an encrypted ROUTER/DEALER pair."""

from __future__ import annotations

from pyacq_lab.transport.rpcclient import RpcClient
from pyacq_lab.transport.rpcserver import Handler, Peer, RpcServer, Work

__all__ = ["Handler", "Peer", "RpcClient", "RpcServer", "Work"]
