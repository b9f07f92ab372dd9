"""Streams made in a kernel, for notebooks that try the oscilloscope. Copied beside these notebooks."""

from __future__ import annotations

import threading
import time

import numpy as np

from pyacq_lab.errors import EndOfStream
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec


class PacedFeed:
    """Samples ``signal(index)`` at the true rate, without the samples in ``lost``.

    Parameters
    ----------
    spec : StreamSpec
        Of the stream.
    signal : callable
        From an array of sample indices, shape (n,), to samples, shape (n, n_channels).
    chunk_size : int
        Samples per chunk.
    lost : tuple of (int, int)
        Half-open ranges of samples that never arrive; whole chunks.
    """

    def __init__(self, spec, signal, chunk_size, lost=(), name=""):
        self.spec, self.name = spec, name
        self._signal, self._size, self._lost = signal, chunk_size, lost
        self._next = 0
        self._begin = time.monotonic()
        self._closed = threading.Event()

    def recv(self, timeout):
        if self._closed.is_set():
            raise EndOfStream
        ready = self._begin + (self._next + self._size) / self.spec.sample_rate
        wait = ready - time.monotonic()
        if wait > timeout:
            self._closed.wait(timeout)
            return None
        if wait > 0:
            self._closed.wait(wait)
        start, self._next = self._next, self._next + self._size
        for first, stop in self._lost:
            if first <= start < stop:
                return Gap(start, self._next)
        data = self._signal(np.arange(start, self._next)).astype(self.spec.np_dtype)
        return Chunk(start, data, time.time_ns() - round(1e9 * self._size / self.spec.sample_rate))

    def close(self):
        self._closed.set()


class Script:
    """A feed that gives exactly what it is told to, when it is told to."""

    def __init__(self, spec, name=""):
        self.spec, self.name = spec, name
        self._items = []
        self._some = threading.Condition()

    def give(self, *items):
        with self._some:
            self._items += items
            self._some.notify()

    def recv(self, timeout):
        with self._some:
            self._some.wait_for(lambda: self._items, timeout)
            return self._items.pop(0) if self._items else None

    def close(self):
        pass


def eeg_like(n_channels, sample_rate, amplitude=60.0):
    """Rhythms with some noise: pretty, and different in each channel."""
    phase = np.arange(n_channels)
    rng = np.random.default_rng(1)

    def signal(index):
        t = index[:, None] / sample_rate
        rhythm = np.sin(2 * np.pi * (9 + 0.3 * phase) * t + phase) * (
            0.6 + 0.4 * np.sin(2 * np.pi * 0.4 * t + phase)
        )
        return amplitude * (rhythm + 0.25 * rng.standard_normal((len(index), n_channels)))

    return signal


def analog(n_channels, sample_rate, **fields):
    """Spec of an analog signal."""
    fields.setdefault("dtype", "<f4")
    return StreamSpec(shape=(-1, n_channels), sample_rate=float(sample_rate), **fields)
