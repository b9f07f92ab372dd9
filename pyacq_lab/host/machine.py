"""What a host says about its machine."""

from __future__ import annotations

import ipaddress
import os
import platform
import socket

import psutil

from pyacq_lab._version import __version__
from pyacq_lab.model.status import GroupStatus, HostStatus


def describe(name: str, endpoint: str, groups: tuple[GroupStatus, ...]) -> HostStatus:
    """Snapshot of this machine, with the nodegroups of whoever asks."""
    memory = psutil.virtual_memory()
    return HostStatus(
        name=name,
        endpoint=endpoint,
        pid=os.getpid(),
        platform=platform.platform(terse=True),
        python=platform.python_version(),
        version=__version__,
        cpu_count=psutil.cpu_count() or 1,
        cpu_percent=psutil.cpu_percent(),
        memory_total=memory.total,
        memory_available=memory.available,
        groups=groups,
    )


def address_for_others() -> str:
    """IP address of this machine to name to others, for a server that listens at all of them.

    The first global or private one; the loopback address where there is no network.
    """
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family != socket.AF_INET:
                continue
            ip = ipaddress.ip_address(address.address)
            if not (ip.is_loopback or ip.is_link_local):
                return address.address
    return "127.0.0.1"
