"""BrainVision Recorder, simulated: what its Remote Data Access sends, when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.pacing import NS_PER_S, Pace
from pyacq_lab.devices.rda import Block, Marker, Start, Stop, encode
from pyacq_lab.model.roles import Clock
from pyacq_lab.testing.instruments import LoopbackServer


class SimulatedRecorder(LoopbackServer):
    """A Recorder that monitors counters: channel ``c`` of sample ``k`` is ``(k + c) % 1000``.

    Parameters
    ----------
    n_channels, sample_rate : int, float
        What it monitors.
    dtype : str
        ``"<i2"`` or ``"<f4"``: what the Recorder sends on its two ports.
    block_size : int
        Samples per block.
    resolution : float
        µV per unit.

    Examples
    --------
    >>> with SimulatedRecorder() as recorder:
    ...     recorder.start()
    ...     recorder.send_block(markers=[Marker(3, 1, -1, "Stimulus", "S  1")])
    """

    def __init__(
        self,
        n_channels: int = 3,
        sample_rate: float = 500.0,
        dtype: str = "<f4",
        block_size: int = 10,
        resolution: float = 0.1,
    ) -> None:
        super().__init__()
        self._start = Start(
            1e6 / sample_rate, (resolution,) * n_channels, tuple(f"Ch{i}" for i in range(n_channels))
        )
        self._introduction = encode(self._start)
        self._dtype = dtype
        self._size = block_size
        self._pace = Pace(sample_rate)
        self._number = self._position = 0
        self._halted = threading.Event()
        self._runner: threading.Thread | None = None

    def samples(self, start: int, stop: int) -> npt.NDArray[np.generic]:
        """What samples ``[start, stop)`` are."""
        columns = np.arange(len(self._start.names))
        return ((np.arange(start, stop)[:, np.newaxis] + columns) % 1000).astype(self._dtype)

    def start(self) -> None:
        """Start to monitor: whoever is, or will be, connected is told."""
        self._number = self._position = 0
        self.greeting = self._introduction
        self.send(self._introduction)

    def send_block(self, n_blocks: int = 1, markers: Sequence[Marker] = ()) -> None:
        """Send the next blocks, all of them with these markers."""
        for _ in range(n_blocks):
            stop = self._position + self._size
            block = encode(Block(self._number, self.samples(self._position, stop), tuple(markers)))
            self._number, self._position = self._number + 1, stop
            self.send(block)
            self.greeting = self._introduction + block  # who comes later begins with the block of that time

    def skip_block(self, n_blocks: int = 1) -> None:
        """Count blocks that are never sent."""
        self._number += n_blocks
        self._position += n_blocks * self._size

    def stop(self) -> None:
        """Stop to monitor."""
        self.greeting = b""
        self.send(encode(Stop()))

    def run(self, clock: Clock) -> None:
        """Monitor at the true rate, in a thread, until it is closed."""
        self.start()
        self._pace.begin(clock.now_ns())
        self._runner = threading.Thread(target=self._run, args=(clock,), name="recorder", daemon=True)
        self._runner.start()

    def close(self) -> None:
        """End all."""
        self._halted.set()
        if self._runner is not None:
            self._runner.join()
        super().close()

    def _run(self, clock: Clock) -> None:
        while not self._halted.is_set():
            due = self._pace.time_ns(self._position + self._size)
            self._halted.wait(max(0, due - clock.now_ns()) / NS_PER_S)
            self.send_block()
