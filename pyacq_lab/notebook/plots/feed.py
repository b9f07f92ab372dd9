"""Where a live plot's samples come from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec


@runtime_checkable
class Feed(Protocol):
    """One stream, as a viewer reads it.

    A feed may have an attribute ``name``: the title of its panel.
    """

    @property
    def spec(self) -> StreamSpec:
        """Description of the stream."""
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


def open_all(sources: tuple[Feed | FeedHandle, ...]) -> list[Feed]:
    """Feeds of feeds and handles, in order; if one cannot be opened, those opened before it are closed.

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
                feeds.append(source.open_feed())
                opened.append(feeds[-1])
            else:
                feeds.append(source)
    except BaseException:
        for feed in opened:
            feed.close()
        raise
    return feeds
