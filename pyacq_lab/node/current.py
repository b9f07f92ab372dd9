"""Which node the calling thread works for, so that log records can say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyacq_lab.transport.logs import current_node


@contextmanager
def running_node(name: str) -> Iterator[None]:
    """Mark the calling thread as working for a node."""
    token = current_node.set(name)
    try:
        yield
    finally:
        current_node.reset(token)
