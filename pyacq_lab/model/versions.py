"""Versions of what results depend on."""

from __future__ import annotations

import importlib.metadata
from functools import cache

from pyacq_lab._version import __version__

_PACKAGES = ("ipykernel", "jupyter_client", "msgspec", "numpy", "pydantic", "pyzmq", "scipy", "zarr")


@cache
def packages() -> dict[str, str]:
    """Versions of this package and of those that nodegroups build on, by name; those that are there."""
    found = {"pyacq_lab": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
