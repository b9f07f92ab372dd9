"""The ways by which a stream can go from one process to another, as programs: sender and receiver of each.

``python -m tests.benchmarks.streamways send|receive WAY JSON``. A sender says where it can be read, a
receiver that it is ready; the sender begins when it is told to. All send float32, (n_samples, n_channels).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.transport.inputs import InputStream
from pyacq_lab.transport.outputs import OutputStream
from tests.benchmarks.streampeers import receive_ezmsg, receive_lsl, send_ezmsg, send_lsl
from tests.benchmarks.streamplan import Plan, Tally, say, stamp, wait_for_go

RATE = 30_000.0


# --- pyacq_lab


def _output(plan: Plan, **how: Any) -> OutputStream:
    output = OutputStream()
    output.configure(
        dtype="float32",
        shape=(-1, plan.n_channels),
        sample_rate=RATE,
        buffer_size=plan.chunk_size * plan.ring_chunks,
        waits=True,
        **how,
    )
    return output


def send_pyacq(plan: Plan, **how: Any) -> None:
    """Send by an OutputStream; where it goes as fast as it can, it waits for its readers."""
    with _output(plan, **how) as output:
        a = output.address
        say(address={f: getattr(a, f) for f in a.__struct_fields__})
        wait_for_go()
        chunk = plan.chunk()
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in plan.paced():
            if plan.pause:
                stamp(chunk)
            else:
                while not output.wait_room(plan.chunk_size, 1.0):
                    pass
            output.send(chunk)
        say(seconds=time.perf_counter() - begin, cpu=time.process_time() - cpu)
        sys.stdin.readline()


def receive_pyacq(plan: Plan, copy: bool = False, n_at_once: int = 1, **how: Any) -> None:
    """Receive by an InputStream, up to ``n_at_once`` chunks at a time where so many wait."""
    with InputStream(**how).connect(plan.address, timeout=10) as stream:
        say(ready=True)
        tally = Tally(plan)
        while True:
            item = stream.recv(30, copy=copy, most=n_at_once * plan.chunk_size)
            if not isinstance(item, Chunk):
                raise RuntimeError(f"{item!r} came instead of a chunk")
            more = tally.take(item.data)
            if not item.intact:
                raise RuntimeError("a chunk was overwritten while it was read")
            if not more:
                break
        tally.report(transfermode=stream.transfermode)


# --- memcpy into the same ring: the bound


def send_memcpy(plan: Plan) -> None:
    """Write into a ring in shared memory, and tell nobody."""
    from pyacq_lab.transport.memory import SharedMemory

    memory = SharedMemory(plan.nbytes * plan.ring_chunks)
    ring = np.frombuffer(memory.memory, np.float32).reshape(-1, plan.n_channels)
    chunk = plan.chunk()
    n = plan.chunk_size
    for at in range(0, len(ring), n):  # as a ring is once it has gone round
        ring[at : at + n] = chunk
    say(address="")
    wait_for_go()
    begin = time.perf_counter()
    at = 0
    for _ in range(plan.n_chunks):
        ring[at : at + n] = chunk
        at = (at + n) % len(ring)
    say(seconds=time.perf_counter() - begin, nbytes=plan.n_chunks * plan.nbytes)
    sys.stdin.readline()


# --- pyzmq


def send_zmq(plan: Plan, transport: str = "ipc", curve: bool = False) -> None:
    """Push, without a copy."""
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.sndhwm = plan.ring_chunks
    public = ""
    if curve:
        keys = zmq.curve_keypair()
        socket.curve_publickey, socket.curve_secretkey = keys
        socket.curve_server = True
        public = keys[0].decode()
    socket.bind(
        "tcp://127.0.0.1:*" if transport == "tcp" else "ipc://@pyacq-benchmark-*" if False else "ipc://*"
    )
    say(address=[socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0"), public])
    wait_for_go()
    chunk = plan.chunk()
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in plan.paced():
        if plan.pause:
            chunk = chunk.copy()  # the one before may still be on its way
            stamp(chunk)
        socket.send(chunk, copy=False)
    say(seconds=time.perf_counter() - begin, cpu=time.process_time() - cpu)
    sys.stdin.readline()
    context.destroy()


def receive_zmq(plan: Plan) -> None:
    """Pull, without a copy."""
    context = zmq.Context()
    socket = context.socket(zmq.PULL)
    socket.rcvhwm = plan.ring_chunks
    endpoint, public = plan.address
    if public:
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_serverkey = public.encode()
    socket.connect(endpoint)
    say(ready=True)
    tally = Tally(plan)
    while tally.take(np.frombuffer(socket.recv(copy=False).buffer, np.float32).reshape(-1, plan.n_channels)):
        pass
    tally.report()
    context.destroy()


Program = Callable[[Plan], None]

WAYS: dict[str, tuple[Program, Program | None]] = {
    "memcpy": (send_memcpy, None),
    "shared": (send_pyacq, receive_pyacq),
    "shared, at once": (send_pyacq, lambda plan: receive_pyacq(plan, n_at_once=16)),
    "shared, copied": (send_pyacq, lambda plan: receive_pyacq(plan, copy=True)),
    "tcp": (
        lambda plan: send_pyacq(plan, transfermode="plaindata", encrypted=False),
        receive_pyacq,
    ),
    "tcp encrypted": (lambda plan: send_pyacq(plan, transfermode="plaindata"), receive_pyacq),
    "zmq ipc": (send_zmq, receive_zmq),
    "zmq tcp": (lambda plan: send_zmq(plan, "tcp"), receive_zmq),
    "LSL": (send_lsl, receive_lsl),
    "ezmsg": (send_ezmsg, receive_ezmsg),
    "zmq tcp encrypted": (lambda plan: send_zmq(plan, "tcp", curve=True), receive_zmq),
}


def main() -> None:
    """Run one program."""
    what, way, fields = sys.argv[1:4]
    sender, receiver = WAYS[way]
    program = sender if what == "send" else receiver
    if program is None:
        raise SystemExit(f"{way} has no receiver")
    program(Plan(json.loads(fields)))


if __name__ == "__main__":
    main()
