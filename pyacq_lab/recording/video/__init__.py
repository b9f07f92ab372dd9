"""Video in a run folder: pictures as MPEG-TS, with a table that says when each was taken and where it is."""

from pyacq_lab.recording.video.coding import VideoCoding, can_encode
from pyacq_lab.recording.video.reader import VideoReader
from pyacq_lab.recording.video.repair import VideoState, recover_video, verify_video
from pyacq_lab.recording.video.writer import VideoWriter

__all__ = [
    "VideoCoding",
    "VideoReader",
    "VideoState",
    "VideoWriter",
    "can_encode",
    "recover_video",
    "verify_video",
]
