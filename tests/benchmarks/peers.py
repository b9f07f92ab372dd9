"""What calls are measured against: raw sockets, ipyparallel, a cold kernel."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq

Call = Callable[[], Any]


def _answer(ready: Any, curve: bool) -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as raw:
        public = b""
        if curve:
            public, raw.curve_secretkey = zmq.curve_keypair()
            raw.curve_publickey, raw.curve_server = public, True
        ready.put((raw.bind_to_random_port("tcp://127.0.0.1"), public))
        while raw.recv() != b"end":
            raw.send(b"x" * 10)


@contextmanager
def raw_pair(curve: bool) -> Iterator[Call]:
    """Round trip of 30 bytes there and 10 back over REQ/REP to another process."""
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Queue()
    process = spawn.Process(target=_answer, args=(ready, curve), daemon=True)
    process.start()
    port, key = ready.get(timeout=60)
    with zmq.Context() as context, context.socket(zmq.REQ) as raw:
        if curve:
            raw.curve_publickey, raw.curve_secretkey = zmq.curve_keypair()
            raw.curve_serverkey = key
        raw.connect(f"tcp://127.0.0.1:{port}")

        def call() -> None:
            raw.send(b"x" * 30)
            raw.recv()

        call()
        try:
            yield call
        finally:
            raw.send(b"end")
            process.join(10)
            ready.close()
            ready.join_thread()


@contextmanager
def ipyparallel_engine() -> Iterator[tuple[Call, float] | None]:
    """``apply_sync`` of what does nothing, and seconds to start; None where it is not installed."""
    try:
        import ipyparallel
    except ImportError:
        yield None
        return
    begun = time.perf_counter()
    with ipyparallel.Cluster(n=1, log_level=50) as client:
        view = client[0]
        view.apply_sync(int)
        started = time.perf_counter() - begun
        yield (lambda: view.apply_sync(int)), started


@contextmanager
def no_engine() -> Iterator[None]:
    """Stand where ipyparallel would, and give nothing."""
    yield None


def cold_kernel() -> float:
    """Seconds until a plain ipykernel answers, started by jupyter_client."""
    from jupyter_client.manager import KernelManager

    begun = time.perf_counter()
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(stdout=-3, stderr=-3)
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        return time.perf_counter() - begun
    finally:
        client.stop_channels()
        pid = manager.provisioner.pid if manager.provisioner else None
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
