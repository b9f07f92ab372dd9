"""Where a live plot's samples come from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pyacq_lab.errors import ConfigurationError, HostUnreachable, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
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

    def open_feed(self, backfill: float = 0.0) -> Feed:
        """Subscribe, and give the feed; whoever asks for it closes it.

        Parameters
        ----------
        backfill : float
            Seconds of the past to begin with, as far as they are kept.
        """
        ...


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
        self._feed: Feed | None = handle.open_feed(backfill)
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
                self._feed = self._handle.open_feed(self._backfill)
            except HostUnreachable:
                return None  # it has not said yet what it is: asked again at the next call
            self._spec = self._feed.spec
            return None  # the reader looks at the new spec before the first chunk of it
        try:
            return self._feed.recv(timeout)
        except StreamMismatch:
            self._feed.close()
            self._feed = None
            return None

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
