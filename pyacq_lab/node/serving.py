"""How a node's output is served: said by its user; what its stream is, the node itself says."""

from __future__ import annotations

from typing import Any

import msgspec

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.stream import Compression, StreamSpec
from pyacq_lab.transport.outputs import OutputStream, check_mode
from pyacq_lab.transport.ringserver import TransferMode
from pyacq_lab.transport.streamsocket import Protocol, check_place


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """How an output is served; None leaves it as it would be.

    Attributes
    ----------
    protocol : {'tcp', 'ipc', 'inproc'}
        For readers anywhere, on this machine, in this nodegroup.
    interface : str
        IP address of this machine at which readers reach it.
    port : int or '*'
        TCP port.
    transfermode : {'auto', 'sharedmem', 'plaindata'}
        Whether readers on this machine share memory with it: those that can; all, and others are refused;
        none.
    compression : {'', 'blosclz', 'lz4', 'lz4hc', 'zlib', 'zstd'}
        Codec for readers that do not.
    buffer_size : int
        Samples that its ring buffer holds.
    buffer_seconds : float
        The same as a time, s.
    """

    protocol: Protocol | None = None
    interface: str | None = None
    port: int | str = "*"
    transfermode: TransferMode | None = None
    compression: Compression | None = None
    buffer_size: int | None = None
    buffer_seconds: float | None = None

    def changed(self, settings: dict[str, Any], whose: str) -> Serving:
        """Copy with some settings changed.

        Raises
        ------
        ConfigurationError, MissingDependency
            One is unknown, out of range, the node's own to say, or wants something that is not installed.
        """
        known = self.__struct_fields__
        if own := [name for name in settings if name in StreamSpec.__struct_fields__ and name not in known]:
            raise ConfigurationError(
                f"{', '.join(own)} of {whose} cannot be configured here: the node says what its stream is, "
                f"by its own settings. What can be said here is how it is served: {', '.join(known)}"
            )
        if unknown := [name for name in settings if name not in known]:
            raise ConfigurationError(
                f"{', '.join(unknown)}: an output is served by {', '.join(known)} ({whose})"
            )
        if settings.get("buffer_size") and settings.get("buffer_seconds"):
            raise ConfigurationError(f"{whose}: give buffer_size or buffer_seconds, not both")
        if settings.get("protocol") in ("ipc", "inproc"):  # what was said of tcp before counts no longer
            settings = {"interface": None, "port": "*"} | settings
        for one, other in (("buffer_size", "buffer_seconds"), ("buffer_seconds", "buffer_size")):
            if settings.get(one):
                settings = {other: None} | settings  # the newer word counts
        return msgspec.structs.replace(self, **settings).checked(whose)

    def checked(self, whose: str) -> Serving:
        """Give itself back. Raises as `changed`."""
        check_place(self.protocol or "tcp", self.interface, self.port, whose)
        try:
            self.described(StreamSpec())
        except TypeError as error:
            raise ConfigurationError(f"{whose}: {error}") from None
        check_mode(self.transfermode or "auto", self.compression or "", whose)
        return self

    @property
    def said(self) -> dict[str, Any]:
        """What `changed` makes this of the defaults by."""
        default = Serving()
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in fields.items() if value != getattr(default, name)}

    @property
    def place(self) -> dict[str, Any]:
        """What `OutputStream.serve` is to be told."""
        return {"protocol": self.protocol or "tcp", "interface": self.interface, "port": self.port}

    def described(self, spec: StreamSpec) -> StreamSpec:
        """What the node says that the stream is, with what is said here."""
        changes: dict[str, Any] = {}
        if self.compression is not None:
            changes["compression"] = self.compression
        if self.buffer_size or self.buffer_seconds:
            changes |= {"buffer_size": self.buffer_size or 0, "buffer_seconds": self.buffer_seconds or 0.0}
        return spec.replace(**changes) if changes else spec

    def apply(self, output: OutputStream, spec: StreamSpec | None) -> None:
        """Serve an output so; ``spec`` is what its node says of it, None where that is not known yet."""
        if spec is None:
            output.serve(**self.place)
        else:
            output.configure(self.described(spec), transfermode=self.transfermode or "auto", **self.place)
