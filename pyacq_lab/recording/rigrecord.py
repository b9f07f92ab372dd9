"""What a recorder is told of the set-up and of the clocks in it, on its way into the run folder."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyacq_lab.model.rig import ClockReading, Rig
from pyacq_lab.recording.files import LineFile, whole_lines
from pyacq_lab.recording.manifest import CLOCKS, SETTINGS, Manifest
from pyacq_lab.recording.settingslog import SettingsLine

log = logging.getLogger(__name__)

MOST_LINES = 10_000
"""Lines of a table that wait at most to be written, where a recorder is not running."""


class RigRecord:
    """Keeps what any thread tells until the recorder's own writes it."""

    def __init__(self) -> None:
        self.is_news = False
        self._told: tuple[Rig, str] | None = None  # the set-up, and the recorder's name in it
        self._known: dict[str, dict[str, Any]] | None = None  # settings of nodes as they are in the table
        self._waiting: dict[str, deque[Any]] = {
            CLOCKS: deque(maxlen=MOST_LINES),
            SETTINGS: deque(maxlen=MOST_LINES),
        }
        self._has_lost: set[str] = set()

    def take_rig(self, rig: Rig, name: str, now_ns: int) -> None:
        """Keep a set-up, and when it was told, ns since 1970 UTC; any thread."""
        self._waiting[SETTINGS].append((now_ns, rig))
        self._told, self.is_news = (rig, name), True

    def take_clocks(self, readings: Sequence[ClockReading]) -> None:
        """Keep readings of clocks; any thread."""
        self._waiting[CLOCKS].extend(readings)

    def note(self, manifest: Manifest) -> None:
        """Take into a manifest what was told of the set-up last."""
        if self._told is None:
            return
        self.is_news = False  # before it is read: what is told meanwhile is news again
        rig, name = self._told
        manifest.rig, manifest.recorder, manifest.recorded_on = rig, name, rig.host_of(name)
        for stream, producer in rig.producers(name).items():
            if stream in manifest.streams and producer:  # else it is as it was known before
                manifest.streams[stream].producer = producer

    def write(self, folder: Path | None) -> None:
        """Append to the tables of a run folder; what goes wrong is told once, and stops no recording."""
        if folder is None:
            return
        self._append(folder / CLOCKS, self._taken(CLOCKS), "clock offsets")
        if told := self._taken(SETTINGS):
            known = self._known
            if known is None:  # what another recorder wrote into this run
                try:
                    known = {
                        line.node: line.settings for line in whole_lines(folder / SETTINGS, SettingsLine)[0]
                    }
                except OSError:
                    known = {}  # what cannot be read cannot be written either, which is told below
                self._known = known
            lines = [line for now_ns, rig in told for line in _changes(known, now_ns, rig)]
            self._append(folder / SETTINGS, lines, "changes of settings")

    def _taken(self, name: str) -> list[Any]:
        waiting = self._waiting[name]
        return [waiting.popleft() for _ in range(len(waiting))]

    def _append(self, path: Path, lines: Sequence[Any], what: str) -> None:
        if not lines:
            return
        try:
            with LineFile(path) as file:
                file.write(*lines)
        except OSError as error:
            if what not in self._has_lost:
                self._has_lost.add(what)
                log.error("%s cannot be written to %s: %s; recording goes on without", what, path, error)


def _changes(known: dict[str, dict[str, Any]], now_ns: int, rig: Rig) -> list[SettingsLine]:
    """Lines on those nodes whose settings are others than are known, which they are then."""
    changed = {
        node.name: node.settings
        for node in rig.nodes
        if node.settings is not None and known.get(node.name) != node.settings
    }
    known |= changed
    return [SettingsLine(time_ns=now_ns, node=node, settings=settings) for node, settings in changed.items()]
