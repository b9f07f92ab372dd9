"""What every thread of this process is doing."""

from __future__ import annotations

import sys
import threading
import traceback


def dump_stacks() -> str:
    """Stack of every thread, as text."""
    names = {t.ident: t.name for t in threading.enumerate()}
    parts: list[str] = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001  the documented way to see other threads
        parts.append(f"Thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}")
    return "\n".join(parts)
