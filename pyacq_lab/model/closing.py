"""What a ``with`` statement closes at its end."""

from __future__ import annotations

from typing import Self


class Closing:
    """Base of what has a ``close``: used with ``with``, it is closed where the block is left."""

    def close(self) -> None:
        """Close it; idempotent."""
        raise NotImplementedError(f"{type(self).__name__} has no close")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
