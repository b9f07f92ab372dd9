"""Recorded runs as files of other formats."""

from __future__ import annotations

from pyacq_lab.recording.export.export import export
from pyacq_lab.recording.export.plan import ExportWarning, Progress

__all__ = ["ExportWarning", "Progress", "export"]
