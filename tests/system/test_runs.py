"""Code that runs in a nodegroup, from several clients at once."""

from __future__ import annotations

from contextlib import closing

from pyacq_lab.kernel.client import KernelClient


def test_whoever_connects_beside_another_is_greeted_too(manager) -> None:
    group = manager.default_nodegroup
    with closing(KernelClient(group.kernel_connection())) as console:
        assert console.run("x = 1").ok
        for _ in range(10):
            assert group.run("x").ok
        assert console.run("x").ok
