"""Requests that are repeated do no harm, and a connection that was lost is taken up again."""

from __future__ import annotations

import pytest

from pyacq_lab.errors import ConfigurationError, UnknownName
from pyacq_lab.model.remote import Welcome
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.messages import ListGroups, Spawn, StopGroup


def test_the_same_request_starts_one_process(manager) -> None:
    host = manager.default_host
    request = Spawn("daq", "token", manager.application_keys.secret)
    both = [host.client.request(request, 60) for _ in range(2)]
    first, second = (future.result(60) for future in both)
    assert first == second == host.client.call(request)
    with pytest.raises(ConfigurationError, match="already has a nodegroup 'daq'"):
        host.client.call(Spawn("daq", "another token", manager.application_keys.secret))
    assert [g.pid for g in host.list_nodegroups()] == [first.pid]


def test_to_stop_twice_is_harmless(manager) -> None:
    host = manager.default_host
    host.client.call(Spawn("daq", "token", manager.application_keys.secret), 60)
    both = [host.client.request(StopGroup("daq"), 30) for _ in range(2)]
    assert {future.result(30).state for future in both} == {"ended"}
    assert host.client.call(StopGroup("daq")).state == "ended"
    with pytest.raises(UnknownName, match="it has: daq"):
        host.client.call(StopGroup("dac"))


def test_a_manager_that_says_hello_again_finds_everything_as_it_was(manager) -> None:
    host = manager.default_host
    group = host.create_nodegroup("daq")
    client = RpcClient(
        manager.reactor, host.endpoint, host.public_key, keys=manager.user_keys, where="host again"
    )
    try:
        client.wait_connected()
        welcome = client.call(host._hello())
        assert isinstance(welcome, Welcome)
        assert welcome.resumed
        assert [g.pid for g in client.call(ListGroups())] == [group.pid]
    finally:
        client.close()


def test_a_host_says_what_it_runs_on(manager) -> None:
    import numpy as np

    welcome = manager.default_host.welcome
    assert welcome.packages["numpy"] == np.__version__
    assert welcome.platform
    assert welcome.python
