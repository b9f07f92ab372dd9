"""The page on the run folder names every field that is written into one."""

from __future__ import annotations

import pytest

from pyacq_lab.model.annotation import Annotation
from pyacq_lab.model.rig import ClockReading
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.eventtable import EventLine
from pyacq_lab.recording.manifest import (
    VERSION,
    EndLine,
    GapLine,
    Manifest,
    ResumeLine,
    SegmentEntry,
    SegmentLine,
    StreamEntry,
    TimeLine,
)
from pyacq_lab.recording.settingslog import SettingsLine

LINES = [EndLine, GapLine, ResumeLine, SegmentLine, TimeLine]


@pytest.mark.parametrize(
    "kind",
    [
        *(Annotation, ClockReading, EventLine, Manifest, SegmentEntry, SettingsLine, StreamEntry, StreamSpec),
        *LINES,
    ],
)
def test_every_field_is_described(root, kind):
    page = (root / "docs" / "run-format.md").read_text()
    assert [name for name in kind.__struct_fields__ if f"`{name}`" not in page] == []


@pytest.mark.parametrize("kind", LINES)
def test_every_line_of_a_journal_is_described(root, kind):
    assert f"| `{kind.__struct_config__.tag}` |" in (root / "docs" / "run-format.md").read_text()


def test_it_is_of_this_version(root):
    assert f"**version {VERSION}**" in (root / "docs" / "run-format.md").read_text()
