"""Peers from the package index as ways of a stream: LSL and ezmsg."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import uuid
from pathlib import Path

import numpy as np

from tests.benchmarks.streamplan import Plan, Tally, say, stamp, wait_for_go

RATE = 30_000.0


def send_lsl(plan: Plan) -> None:
    """Push chunks into a stream outlet."""
    _lsl_on_this_machine()
    import pylsl

    name = uuid.uuid4().hex
    info = pylsl.StreamInfo(name, "EEG", plan.n_channels, RATE, "float32", name)
    outlet = pylsl.StreamOutlet(info, chunk_size=plan.chunk_size, max_buffered=60)
    say(address=name)
    wait_for_go()
    chunk = plan.chunk()
    outlet.wait_for_consumers(10)
    for _ in plan.paced():
        if plan.pause:
            stamp(chunk)
        outlet.push_chunk(chunk)
    say()
    sys.stdin.readline()


def receive_lsl(plan: Plan) -> None:
    """Pull chunks into an array from a stream inlet."""
    _lsl_on_this_machine()
    import pylsl

    (info,) = pylsl.resolve_byprop("name", plan.address, 1, timeout=20)
    inlet = pylsl.StreamInlet(info, max_buflen=60, max_chunklen=plan.chunk_size, recover=False)
    inlet.open_stream(10)
    say(ready=True)
    buffer = np.zeros((plan.chunk_size, plan.n_channels), np.float32)
    tally = Tally(plan)
    more, filled = True, 0
    while more:
        left = buffer[filled:].reshape(-1)
        _, stamps = inlet.pull_chunk(timeout=5.0, max_samples=plan.chunk_size - filled, dest_obj=left)
        if not stamps:
            raise RuntimeError(f"nothing came for 5 s, {filled} samples of a chunk were there")
        filled += len(stamps)
        if filled == plan.chunk_size:
            more, filled = tally.take(buffer), 0
    tally.report()


def _lsl_on_this_machine() -> None:
    """Keep LSL from the network: its streams are looked for on this machine only."""
    file = Path(tempfile.gettempdir()) / "pyacq_lab-benchmark-lsl.cfg"
    file.write_text(
        "[multicast]\nResolveScope = machine\nAddressesOverride = {127.0.0.1}\n[ports]\nIPv6 = disable\n"
    )
    os.environ["LSLAPICFG"] = str(file)


def send_ezmsg(plan: Plan) -> None:
    """Publish arrays; ezmsg carries them in shared memory."""
    from ezmsg.core import GraphContext, GraphServer

    async def program() -> None:
        server = GraphServer()
        server.start(("127.0.0.1", 0))
        async with GraphContext(server.address, auto_start=False) as graph:
            publisher = await graph.publisher("samples", buf_size=plan.nbytes + 4096, num_buffers=32)
            say(address=[server.address.host, server.address.port])
            await asyncio.to_thread(wait_for_go)
            chunk = plan.chunk()
            for _ in plan.paced():
                if plan.pause:
                    stamp(chunk)
                await publisher.broadcast(chunk)
            say()
            await asyncio.to_thread(sys.stdin.readline)
        server.stop()

    asyncio.run(program())


def receive_ezmsg(plan: Plan) -> None:
    """Look at arrays without a copy."""
    from ezmsg.core import GraphContext

    async def program() -> None:
        async with GraphContext(tuple(plan.address), auto_start=False) as graph:
            subscriber = await graph.subscriber("samples")
            await asyncio.sleep(0.5)  # it does not say when the publisher knows of it
            say(ready=True)
            tally = Tally(plan)
            more = True
            while more:
                async with subscriber.recv_zero_copy() as chunk:
                    more = tally.take(chunk)
                    del chunk  # or its memory could not be closed
            tally.report()

    asyncio.run(program())
