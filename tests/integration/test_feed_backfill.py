"""A plot that is opened late begins with what the producer's ring still holds."""

from __future__ import annotations

import contextlib

import numpy as np

from pyacq_lab import InputStream, OutputStream
from pyacq_lab.notebook.plots.feed import FollowingFeed


class Handle:
    """An output's handle, as far as a plot knows one."""

    def __init__(self, output):
        self.output = output

    def open_feed(self):
        return InputStream("view", policy="latest").connect(self.output)


def test_a_late_plot_begins_with_the_past_and_goes_on_after_another_configuration():
    index = np.arange(3000, dtype="<i2").reshape(-1, 1)
    with OutputStream("late") as output:
        output.configure(dtype="int16", shape=(-1, 1), sample_rate=1000.0, buffer_seconds=10)
        output.send(index)
        with contextlib.closing(FollowingFeed(Handle(output), backfill=2.0)) as feed:
            past = feed.recv(5.0)
            assert (past.start, past.stop) == (1000, 3000)
            np.testing.assert_array_equal(past.data, index[1000:])
            output.send(index[:10])
            new = feed.recv(5.0)
            assert (new.stop, new.epoch) == (3010, past.epoch)
            output.end()
            output.configure(dtype="int16", shape=(-1, 2), sample_rate=500.0, buffer_seconds=10)
            output.send(np.zeros((20, 2), "<i2"))
            for _ in range(50):
                if feed.recv(0.2) is not None:
                    break
            assert feed.spec.shape == (-1, 2)
