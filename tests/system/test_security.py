"""Who may speak to whom: each refusal is clear, comes soon, and is logged by the host."""

from __future__ import annotations

import os
import time

import pytest
import zmq

from pyacq_lab.errors import AuthenticationError, ConfigurationError, HostUnreachable, VersionMismatch
from pyacq_lab.transport.keyring import Keyring
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.rpc import RpcClient
from pyacq_lab.wire.messages import PROTOCOL, DescribeHost, Hello, ListGroups, Spawn

REFUSED = "refused a connection from 127.0.0.1"


@pytest.fixture(autouse=True)
def soon():
    """Every refusal arrives within 5 s; a test here has a few, and starts a host."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 20


@pytest.fixture
def stranger(make_manager, tmp_path):
    """A manager of another user: its keys are known to no host here."""
    return make_manager(keyring=Keyring(tmp_path / "stranger"))


def refusal(error, words, manager, *arguments) -> None:
    begun = time.monotonic()
    with pytest.raises(error, match=words):
        manager.add_host(*arguments)
    assert time.monotonic() - begun < 5
    assert manager.list_hosts() == []


def test_a_wrong_server_key_is_refused_here(manager, start_host) -> None:
    host = start_host()
    refusal(
        AuthenticationError, "did not prove the public key", manager, host.endpoint, KeyPair.generate().public
    )


def test_a_client_without_an_authorised_key_is_refused_there(stranger, start_host, until) -> None:
    host = start_host()
    refusal(AuthenticationError, "not authorised", stranger, host.endpoint, host.key)
    until(lambda: REFUSED in host.errors())
    assert stranger.user_keys.public in host.errors()


def test_a_host_that_listens_everywhere_refuses_strangers_all_the_same(stranger, manager, start_host) -> None:
    host = start_host("tcp://0.0.0.0:0", "--no-pairing")
    assert "0.0.0.0" not in host.endpoint
    endpoint = f"tcp://127.0.0.1:{host.endpoint.rpartition(':')[2]}"
    refusal(AuthenticationError, "not authorised", stranger, endpoint, host.key)
    assert manager.add_host(host.endpoint, host.key).status().groups == ()


@pytest.mark.parametrize("key", ["", "short", "x" * 39, " " * 40, "é" * 40, "x" * 41, "x" * 80 + "y"])
def test_a_malformed_key_is_named_before_anything_is_sent(manager, key) -> None:
    refusal(AuthenticationError, r"wanted (the )?40", manager, "tcp://127.0.0.1:1", key)


def test_a_key_that_was_never_given_is_asked_for(manager) -> None:
    refusal(AuthenticationError, "give key=", manager, "tcp://10.255.0.1:8000")


@pytest.mark.parametrize(
    "endpoint", ["", "10.0.0.1:80", "tcp://host", "tcp://h:99999", "tcp://a b:1", "ipc://x"]
)
def test_a_malformed_endpoint_is_answered_with_an_example(manager, endpoint) -> None:
    refusal(ConfigurationError, r"tcp://10\.0\.0\.53:8000", manager, endpoint)


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a..b", "-"])
def test_a_host_name_that_leads_nowhere_is_named(manager, name) -> None:
    endpoint = f"tcp://{name}:8000"
    refusal(HostUnreachable, f"the name {name!r}", manager, endpoint, KeyPair.generate().public)


def test_a_token_pairs_once(make_manager, stranger, start_host, tmp_path) -> None:
    host = start_host()
    with pytest.raises(AuthenticationError, match="not authorised"):
        stranger.add_host(host.endpoint, host.key)
    assert stranger.add_host(host.endpoint, host.invitation).status().groups == ()
    # The same cell again, in the same notebook and in a later one, is fine: its key is authorised by now.
    again = make_manager(keyring=Keyring(tmp_path / "stranger"))
    assert again.add_host(host.endpoint, host.invitation).status().groups == ()
    late = make_manager(keyring=Keyring(tmp_path / "late"))
    refusal(AuthenticationError, "pairing token .* is not valid", late, host.endpoint, host.invitation)
    refusal(
        AuthenticationError,
        "pairing token .* is not valid",
        late,
        host.endpoint,
        host.key + KeyPair.generate().secret,
    )


def test_a_token_opens_nothing_but_the_pairing(manager, start_host) -> None:
    host = start_host()
    client = RpcClient(
        manager.reactor, host.endpoint, host.key, keys=KeyPair.from_secret(host.token), where="host"
    )
    try:
        client.wait_connected()
        for message in (Hello(PROTOCOL, "1", "x", 30.0), ListGroups(), Spawn("a", "b", host.token)):
            with pytest.raises(AuthenticationError, match="not authorised"):
                client.call(message)
    finally:
        client.close()


def test_authorized_keys_count_as_soon_as_they_are_edited(
    manager, stranger, start_host, jupyter_home, until
) -> None:
    host = start_host("tcp://127.0.0.1:0", "--no-pairing")
    keys = jupyter_home / "pyacq_lab" / "authorized_keys"
    refusal(AuthenticationError, "not authorised", stranger, host.endpoint, host.key)
    keys.write_text(f"# the stranger\n{stranger.user_keys.public} stranger\nrubbish\n")
    keys.chmod(0o600)
    handle = stranger.add_host(host.endpoint, host.key)
    assert handle.status().groups == ()
    assert "ignored a line" in host.errors()
    keys.write_text("")
    with pytest.raises(AuthenticationError, match="any more"):  # also over the connection that stands
        handle.status()
    assert manager.add_host(host.endpoint).status().groups == ()


def test_keys_that_others_could_have_changed_let_nobody_in(manager, start_host, jupyter_home, until) -> None:
    host = start_host("tcp://127.0.0.1:0", "--no-pairing")
    keys = jupyter_home / "pyacq_lab" / "authorized_keys"
    keys.write_text("")
    keys.chmod(0o666)
    refusal(AuthenticationError, "not authorised", manager, host.endpoint)
    until(lambda: f"chmod 600 {keys}" in host.errors())
    keys.chmod(0o600)
    assert manager.add_host(host.endpoint).status().groups == ()


@pytest.mark.skipif(os.name != "posix", reason="file rights are a matter of POSIX systems")
@pytest.mark.parametrize("name", ["user.key", "host.key"])
def test_a_secret_that_others_can_read_is_refused_with_the_fix(jupyter_home, name) -> None:
    ring = Keyring()
    ring.user(), ring.host()
    (ring.folder / name).chmod(0o640)
    with pytest.raises(AuthenticationError, match=f"chmod 600 .*{name}"):
        getattr(ring, name.removesuffix(".key"))()


def test_an_unencrypted_peer_gets_nowhere(start_host) -> None:
    host = start_host()
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.linger = 0
        raw.connect(host.endpoint)
        raw.send_multipart([b"\x92\x01\x91\xa4ping"])
        assert not raw.poll(1000)


def test_versions_that_differ_refuse_each_other_and_name_both(manager, start_host, monkeypatch) -> None:
    from pyacq_lab._version import __version__
    from pyacq_lab.manager import hosts

    host = start_host()
    monkeypatch.setattr(hosts, "PROTOCOL", 99)
    monkeypatch.setattr(hosts, "__version__", "9.9.9")
    words = rf"{__version__} \(protocol {PROTOCOL}\).*9\.9\.9 \(protocol 99\)"
    refusal(VersionMismatch, words, manager, host.endpoint)


def test_one_manager_cannot_take_anothers_nodegroups(manager, stranger, start_host) -> None:
    host = start_host()
    handle = manager.add_host(host.endpoint)
    group = handle.create_nodegroup("mine")
    thief = stranger.add_host(host.endpoint, host.invitation)
    with pytest.raises(AuthenticationError, match="another key"):
        thief.client.call(handle._hello())
    assert thief.client.call(DescribeHost()).groups == ()
    assert group.alive
