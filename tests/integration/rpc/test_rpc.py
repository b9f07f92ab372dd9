"""Remote calls over real, encrypted sockets."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
import zmq

from pyacq_lab.errors import (
    AuthenticationError,
    CallTimeout,
    ConfigurationError,
    HostUnreachable,
    ProcessDied,
    RemoteError,
)
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.rpc import Peer, RpcClient, RpcServer
from pyacq_lab.wire.messages import Call, GroupRequest, Ping


class Served:
    """What the server under test does with requests."""

    def __init__(self) -> None:
        self.held: list[Future[Any]] = []
        self.peers: list[Peer] = []

    def handle(self, message: Any, peer: Peer) -> Any:
        self.peers.append(peer)
        if isinstance(message, Ping):
            return 42
        match message.method:
            case "fail":
                raise ValueError("no such colour")
            case "odd":
                raise UnicodeDecodeError("utf-8", b"x", 0, 1, "odd constructor")
            case "hold":
                self.held.append(Future())
                return self.held[-1]
            case "unsendable":
                return object()
            case _:
                return message.args, message.kwargs


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def rpc_server(server, client, served):
    made = RpcServer(
        server.reactor,
        "tcp://127.0.0.1:0",
        keys=server.keys,
        allow=lambda key: key == client.keys.public,
        vocabulary=GroupRequest,
        handler=served.handle,
        where="bench/daq",
    )
    yield made
    made.close()


@pytest.fixture
def connect(server, client, rpc_server):
    made: list[RpcClient] = []

    def connect(**changes: Any) -> RpcClient:
        wanted = {
            "endpoint": rpc_server.endpoint,
            "server_key": server.keys.public,
            "keys": client.keys,
        } | changes
        made.append(RpcClient(client.reactor, where="bench/daq", **wanted))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def test_values_and_arrays_go_there_and_back(connect) -> None:
    client = connect()
    client.wait_connected()
    args, kwargs = client.call(Call("group", "echo", (1, np.arange(1e6)), {"a": (None, b"x")}))
    assert args[0] == 1
    np.testing.assert_array_equal(args[1], np.arange(1e6))
    assert kwargs == {"a": (None, b"x")}


def test_the_handler_learns_the_peers_proven_key(connect, client, served) -> None:
    one = connect()
    one.wait_connected()
    one.call(Ping())
    assert served.peers[0].key == client.keys.public


def test_a_remote_error_has_its_type_its_place_and_its_traceback(connect) -> None:
    client = connect()
    client.wait_connected()
    with pytest.raises(ValueError, match="no such colour") as caught:
        client.call(Call("group", "fail"))
    assert isinstance(caught.value, RemoteError)
    assert caught.value.where == "bench/daq"
    assert "in handle" in caught.value.remote_traceback
    assert "bench/daq" in str(caught.value)
    assert any("no such colour" in line for line in caught.value._render_traceback_())


def test_errors_that_cannot_be_made_again_arrive_all_the_same(connect) -> None:
    client = connect()
    client.wait_connected()
    with pytest.raises(RemoteError, match="odd constructor"):
        client.call(Call("group", "odd"))
    with pytest.raises(RemoteError, match="cannot travel"):
        client.call(Call("group", "unsendable"))
    assert client.call(Ping()) == 42


def test_what_cannot_be_sent_is_refused_here_and_leaves_nothing_open(connect) -> None:
    client = connect()
    client.wait_connected()
    with pytest.raises(ValueError, match="cannot travel"):
        client.call(Call("group", "echo", (object(),)))
    assert client.call(Ping()) == 42


def test_a_call_without_an_answer_times_out_and_a_late_answer_harms_nobody(connect, served, until) -> None:
    client = connect()
    client.wait_connected()
    with pytest.raises(CallTimeout):
        client.call(Call("group", "hold"), timeout=0.2)
    served.held[0].set_result("late")
    assert client.call(Ping()) == 42


def test_answers_may_come_in_any_order(connect, served, until) -> None:
    client = connect()
    client.wait_connected()
    first, second = (client.request(Call("group", "hold"), 10) for _ in range(2))
    until(lambda: len(served.held) == 2)
    served.held[1].set_result("b")
    assert second.result(5) == "b"
    served.held[0].set_result("a")
    assert first.result(5) == "a"


def test_many_threads_may_call_at_once(connect) -> None:
    client = connect()
    client.wait_connected()
    wrong: list[Any] = []

    def work(number: int) -> None:
        for i in range(100):
            args, _ = client.call(Call("group", "echo", (number, i)))
            if args != (number, i):
                wrong.append(args)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_wrong_server_key_is_named_within_bounded_time(connect) -> None:
    begun = time.monotonic()
    with pytest.raises(AuthenticationError, match="did not prove the public key"):
        connect(server_key=KeyPair.generate().public).wait_connected(5)
    assert time.monotonic() - begun < 5.5


def test_an_unknown_client_key_is_refused_and_logged_with_its_address(connect, caplog) -> None:
    with pytest.raises(AuthenticationError, match="not authorised"):
        connect(keys=KeyPair.generate()).wait_connected(5)
    assert "refused a connection from 127.0.0.1" in caplog.text


def test_nobody_there_and_a_stranger_there_are_told_apart(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(HostUnreachable, match="did not prove its key"):
            connect(endpoint=f"tcp://127.0.0.1:{port}").wait_connected(1)
    with pytest.raises(HostUnreachable, match="nothing answers"):
        connect(endpoint=f"tcp://127.0.0.1:{port}").wait_connected(5)


@pytest.mark.parametrize(
    "endpoint", ["", "10.0.0.1:80", "tcp://host", "tcp://a:99999", "ipc://x", "tcp://*:1 "]
)
def test_a_malformed_endpoint_is_refused_with_an_example(connect, endpoint) -> None:
    with pytest.raises(ConfigurationError, match=r"tcp://10\.0\.0\.53:8000"):
        connect(endpoint=endpoint)


def test_an_unencrypted_peer_gets_nowhere(rpc_server, served) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.linger = 0
        raw.connect(rpc_server.endpoint)
        raw.send_multipart([b"\x92\x01\x91\xa4ping"])
        assert not raw.poll(500)
    assert not served.peers


def test_damaged_messages_are_ignored_and_the_next_is_served(connect, served) -> None:
    client = connect()
    client.wait_connected()
    for garbage in ([b""], [b"\xc1"], [b"\x92\x01\x91\xa5nonsense"], [b"\x00"] * 50):
        client._socket.send(garbage)
    assert client.call(Ping()) == 42
    assert len(served.peers) == 1


def test_open_calls_fail_at_once_when_the_server_goes(connect, rpc_server, served, until) -> None:
    client = connect()
    client.wait_connected()
    future = client.request(Call("group", "hold"), 60)
    until(lambda: served.held)
    rpc_server.close(linger=0)
    with pytest.raises(ProcessDied, match="lost"):
        future.result(5)
    with pytest.raises(ProcessDied, match="lost"):
        client.call(Ping())


def test_events_arrive_in_order(server, client, rpc_server, connect, served, until) -> None:
    heard: list[tuple[str, Any]] = []
    one = RpcClient(
        client.reactor,
        rpc_server.endpoint,
        server.keys.public,
        keys=client.keys,
        where="x",
        on_event=lambda event: heard.append((event.topic, event.value)),
    )
    one.wait_connected()
    one.call(Ping())
    for i in range(100):
        assert rpc_server.notify(served.peers[0].routing_id, "count", i)
    until(lambda: len(heard) == 100)
    assert heard == [("count", i) for i in range(100)]
    one.close()
    until(lambda: not rpc_server.notify(served.peers[0].routing_id, "count", 0))
