"""What can be set of a recorder."""

from __future__ import annotations

from typing import Literal

from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.recording.packing import Compression
from pyacq_lab.recording.track import Storage
from pyacq_lab.recording.video.coding import DEFAULT_QUALITY


class RecorderSettings(Settings):
    """Settings of `Recorder`."""

    path: str = setting(
        "run_{date}_{time}",
        min_length=1,
        pattern=r"^[^\x00]+$",
        description="run folder on the node's machine, made at the first start; {date} and {time} (UTC) are "
        "filled in",
    )
    existing: Literal["refuse", "continue"] = setting(
        "refuse",
        description="what happens where the run folder exists: 'refuse', or 'continue' its run. Nothing is "
        "ever overwritten",
    )
    compression: Compression = setting(
        "none",
        description="how samples are compressed: 'lz4' and 'zstd' by Blosc. 'none' costs least and writes "
        "most; what the others give and cost is in docs/benchmarks/recording.md",
    )
    chunk_seconds: float = setting(
        10.0, gt=0, unit="s", description="length of an array's chunks; at most 1 MiB each"
    )
    fsync: Literal["never", "chunk", "flush"] = setting(
        "never",
        description="when to wait until the disk has the data: 'never' survives any death of the process, "
        "but a power cut may take the last half minute; 'chunk' waits at each full shard (128 chunks) and at "
        "stop; 'flush' loses nothing acknowledged, at the price of some syncs of the disk (milliseconds to "
        "tens of them each) for each stream a few times a second",
    )
    video: Literal["h264", "lossless", "raw"] = setting(
        "lossless",
        description="how pictures (video of uint8, grey or RGB) are stored: 'lossless', encoded and equal to "
        "what came; 'h264', several times smaller and only nearly equal; 'raw', as arrays, for which nothing "
        "needs to be installed. Other video is always raw",
    )
    video_quality: int = setting(
        DEFAULT_QUALITY,
        ge=0,
        le=51,
        description="constant rate factor of video='h264': less is better, and larger; 18 can hardly be told "
        "from the original, 6 more halve the room",
    )
    min_free: float = setting(
        0.2,
        ge=0,
        unit="GB",
        live=True,
        description="room that is left on the disk: where there is less, recording stops, with everything "
        "whole. Warnings come half an hour and a minute before that",
    )

    def storage(self) -> Storage:
        """How streams are stored."""
        return Storage(
            chunk_seconds=self.chunk_seconds,
            compression=self.compression,
            fsync=self.fsync,
            video=self.video,
            video_quality=self.video_quality,
        )
