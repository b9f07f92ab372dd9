"""Threads that receive for themselves: nobody's message is lost, whoever receives it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from pyacq_lab.errors import CallTimeout, ProcessDied
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.transport.rpc import Peer, RpcClient, RpcServer, Work
from pyacq_lab.transport.watch import SelectorWatch, best_watch
from pyacq_lab.wire.messages import Call, GroupRequest, Ping


class Worker:
    """Echoes in lanes; ``wait`` waits for the gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.order: list[Any] = []
        self.peers: list[Peer] = []

    def handle(self, message: Any, peer: Peer) -> Any:
        self.peers.append(peer)
        if not isinstance(message, Call):
            return 42
        return Work(message.target, lambda: self.run(message), f"/{message.target}.{message.method}")

    def run(self, message: Call) -> Any:
        self.order.append((message.target, *message.args))
        if message.method == "wait":
            self.begun.set()
            return self.gate.wait(20)
        if message.method == "fail":
            raise ValueError("broken")
        return message.args


@pytest.fixture(params=[best_watch, SelectorWatch], ids=["best", "portable"])
def sides(request) -> Iterator[tuple[Reactor, Reactor]]:
    made = Reactor(watch=request.param()), Reactor(watch=request.param())
    yield made
    for reactor in made:
        reactor.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.gate.set()


@pytest.fixture
def pair(sides, worker) -> Iterator[tuple[RpcServer, RpcClient]]:
    keys, heard = KeyPair.generate(), []
    server = RpcServer(
        sides[0],
        "tcp://127.0.0.1:0",
        keys=keys,
        allow=lambda key: True,
        vocabulary=GroupRequest,
        handler=worker.handle,
        where="bench/daq",
        works=True,
    )
    client = RpcClient(
        sides[1],
        server.endpoint,
        keys.public,
        keys=KeyPair.generate(),
        where="bench/daq",
        on_event=lambda event: heard.append(event.value),
    )
    client.heard = heard  # pyright: ignore[reportAttributeAccessIssue]
    client.wait_connected()
    yield server, client
    worker.gate.set()
    client.close()
    server.close()


def test_control_is_answered_while_calls_run(pair, worker) -> None:
    _, client = pair
    held = client.request(Call("node:a", "wait"), 20)
    assert worker.begun.wait(10)
    assert [client.call(Ping()) for _ in range(20)] == [42] * 20
    assert client.call(Call("node:b", "echo", (1,))) == (1,)
    worker.gate.set()
    assert held.result(10) is True


def test_calls_to_one_target_keep_their_order_and_its_state_to_themselves(pair, worker) -> None:
    _, client = pair
    first = client.request(Call("node:a", "wait", (-1,)), 20)
    futures = [client.request(Call("node:a", "echo", (i,)), 20) for i in range(50)]
    assert client.call(Call("node:b", "echo", (99,))) == (99,)
    assert worker.order[0] == ("node:a", -1)
    worker.gate.set()
    assert first.result(10) is True
    assert [f.result(10) for f in futures] == [(i,) for i in range(50)]
    assert [i for target, i in worker.order if target == "node:a"] == list(range(-1, 50))


def test_a_waiting_thread_hands_on_what_belongs_to_others(pair, worker, until) -> None:
    server, client = pair
    client.call(Ping())
    waiting = threading.Thread(target=lambda: client.call(Call("node:a", "wait"), 20))
    waiting.start()
    assert worker.begun.wait(10)
    for i in range(200):
        assert server.notify(worker.peers[0].routing_id, "count", i)
    futures = [client.request(Call("node:b", "echo", (i,)), 20) for i in range(50)]
    assert [f.result(10) for f in futures] == [(i,) for i in range(50)]
    assert client.call(Ping()) == 42
    until(lambda: len(client.heard) == 200)
    assert client.heard == list(range(200))
    worker.gate.set()
    waiting.join(10)


def test_many_threads_mixed(pair) -> None:
    _, client = pair
    wrong: list[Any] = []

    def work(number: int) -> None:
        for i in range(150):
            future = client.request(Call(f"node:{number % 3}", "echo", (number, i)), 20)
            if client.call(Call(f"node:{number % 2}", "echo", (i, number))) != (i, number):
                wrong.append("call")
            if future.result(20) != (number, i):
                wrong.append("future")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_a_waiting_thread_keeps_its_deadline_and_hears_the_end(pair, worker) -> None:
    _, client = pair
    with pytest.raises(CallTimeout):
        client.call(Call("node:a", "wait"), timeout=0.1)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            client.call(Call("node:b", "wait"), timeout=60)
        except ProcessDied as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    client.call(Ping())
    client.fail("it has died")
    thread.join(10)
    assert len(caught) == 1
    with pytest.raises(ProcessDied, match="it has died"):
        client.call(Ping())


def test_ctrl_c_ends_the_wait_and_harms_no_other_call(pair, worker) -> None:
    _, client = pair
    other = client.request(Call("node:b", "echo", (1,)), 20)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client.call(Call("node:a", "wait"), 20)
    timer.join()
    assert time.monotonic() - begun < 10
    assert other.result(10) == (1,)
    worker.gate.set()
    assert client.call(Call("node:a", "echo", (2,))) == (2,)


def test_a_storm_of_ctrl_c_leaves_the_connection_usable(pair) -> None:
    _, client = pair
    me = threading.main_thread().ident
    assert me is not None
    storm_over = threading.Event()

    def strike(number: int, frame: FrameType | None) -> None:
        while frame is not None:  # only inside a call, so that the test itself is not hit
            if frame.f_code is RpcClient.call.__code__:
                raise KeyboardInterrupt
            frame = frame.f_back

    def storm() -> None:
        for _ in range(300):
            signal.pthread_kill(me, signal.SIGINT)
            time.sleep(0.001)
        storm_over.set()

    before = signal.signal(signal.SIGINT, strike)
    try:
        thread = threading.Thread(target=storm)
        thread.start()
        struck = 0
        while not storm_over.is_set():
            try:
                assert client.call(Call("node:a", "echo", (struck,)), 10) == (struck,)
            except KeyboardInterrupt:
                struck += 1
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert struck
    assert client.call(Call("node:a", "echo", ("after",))) == ("after",)
    assert client.request(Call("node:a", "echo", ("after",)), 10).result(10) == ("after",)


def test_an_error_names_host_nodegroup_node_and_method(pair) -> None:
    _, client = pair
    with pytest.raises(ValueError, match=r"broken \[in bench/daq/node:a\.fail\]"):
        client.call(Call("node:a", "fail"))


def test_a_failure_that_nobody_waits_for_is_logged_over_there(pair, until, caplog) -> None:
    _, client = pair
    client.tell(Call("node:a", "fail"))
    until(lambda: "bench/daq/node:a.fail" in caplog.text)
