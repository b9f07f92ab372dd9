"""Where a live plot's samples come from."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, HostUnreachable, SamplesGone, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamSpec


@runtime_checkable
class Feed(Protocol):
    """One stream, as a viewer reads it.

    A feed may have an attribute ``name``: the title of its panel.
    """

    @property
    def spec(self) -> StreamSpec:
        """Description of the stream; another one where the stream was configured anew."""
        ...

    def recv(self, timeout: float) -> Chunk | Gap | None:
        """Give what comes next; None if nothing did within ``timeout`` seconds.

        Called in a loop by the viewer's receiving thread only. A new epoch starts the indices again.

        Raises
        ------
        EndOfStream
            Nothing will come any more.
        """
        ...

    def close(self) -> None:
        """Stop receiving. Called once, by the viewer's receiving thread, after the last `recv`."""
        ...


@runtime_checkable
class FeedHandle(Protocol):
    """Anything that can give a feed, such as the handle of a node's output."""

    def open_feed(self) -> Feed:
        """Subscribe, and give the feed; whoever asks for it closes it."""
        ...


@runtime_checkable
class _Indexed(Protocol):
    """A feed whose past can be read, as that of an output: see `pyacq_lab.InputStream`."""

    @property
    def place(self) -> StreamPlace: ...

    @property
    def spec(self) -> StreamSpec: ...

    def bounds(self) -> tuple[int, int]: ...

    def get_data(self, start: int, stop: int) -> npt.NDArray[Any]: ...


def _newest(feed: _Indexed, n_samples: int) -> Chunk | None:
    """The newest samples of the producer's ring, at most so many; None where it has none in one piece.

    A feed of policy ``latest`` begins with the newest chunk, whatever backfill was asked for. What is read
    here and comes once more is left out by whoever counts indices.
    """
    oldest, stop = feed.bounds()
    start = max(oldest, stop - n_samples)
    if start >= stop:
        return None
    try:
        return Chunk(start, feed.get_data(start, stop), epoch=feed.place.epoch)
    except SamplesGone:
        return None  # the producer was faster, or there is a gap among them: it begins with what comes


class FollowingFeed:
    """The stream of a handle, also after it was configured anew.

    Parameters
    ----------
    handle : FeedHandle
        Of the output.
    backfill : float
        Seconds of the past to begin with, at each opening.
    """

    def __init__(self, handle: FeedHandle, backfill: float = 0.0) -> None:
        self._handle = handle
        self._backfill = backfill
        self._past: Chunk | None = None
        self._feed: Feed | None = self._open()
        self._spec = self._feed.spec
        self.name = str(getattr(self._feed, "name", ""))

    @property
    def spec(self) -> StreamSpec:
        """Description of the stream that `recv` gives."""
        return self._spec

    def recv(self, timeout: float) -> Chunk | Gap | None:
        """Give what comes next; opens the stream again where it has become another one."""
        if self._feed is None:
            try:
                self._feed = self._open()
            except HostUnreachable:
                return None  # it has not said yet what it is: asked again at the next call
            self._spec = self._feed.spec
            return None  # the reader looks at the new spec before the first chunk of it
        if self._past is not None:
            past, self._past = self._past, None
            return past
        try:
            return self._feed.recv(timeout)
        except StreamMismatch:
            self._feed.close()
            self._feed = None
            return None

    def _open(self) -> Feed:
        feed = self._handle.open_feed()
        if self._backfill and isinstance(feed, _Indexed):
            self._past = _newest(feed, round(self._backfill * feed.spec.sample_rate))
        return feed

    def close(self) -> None:
        """Stop receiving."""
        if self._feed is not None:
            self._feed.close()


def open_all(sources: tuple[Feed | FeedHandle, ...], backfill: float = 0.0) -> list[Feed]:
    """Feeds of feeds and handles, in order; if one cannot be opened, those opened before it are closed.

    Handles begin with ``backfill`` seconds of the past, and are followed when they are configured anew.

    Raises
    ------
    ConfigurationError
        One is neither a feed nor a handle, or there is none.
    """
    if not sources:
        raise ConfigurationError("no stream to show: pass the handle of an output, or a feed, or several")
    for source in sources:
        if not isinstance(source, FeedHandle | Feed):
            raise ConfigurationError(
                f"{type(source).__name__} is not a stream: wanted something with open_feed() "
                "(a node's output), or a feed with spec, recv() and close()"
            )
    opened: list[Feed] = []
    feeds: list[Feed] = []
    try:
        for source in sources:
            if isinstance(source, FeedHandle):
                feeds.append(FollowingFeed(source, backfill))
                opened.append(feeds[-1])
            else:
                feeds.append(source)
    except BaseException:
        for feed in opened:
            feed.close()
        raise
    return feeds
