"""The producing end of a stream."""

from __future__ import annotations

import threading
import time
import warnings
import weakref
from typing import Any, Never

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, LifecycleError, StreamMismatch
from pyacq_lab.model.choices import check_choice
from pyacq_lab.model.closing import Closing
from pyacq_lab.model.ledger import PortStatus, ReaderStatus
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.transport.memory import CAN_SHARE
from pyacq_lab.transport.ringserver import RingServer, TransferMode
from pyacq_lab.transport.samples import (
    MOST_INDEX,
    Filter,
    checked_index,
    checked_name,
    checked_place,
    checked_timeout,
    filtered,
    fitting,
    whole,
)
from pyacq_lab.transport.streamcontext import StreamContext
from pyacq_lab.transport.streamsocket import Protocol
from pyacq_lab.wire.compression import codec_library


class OutputStream(Closing):
    """The producing end of a stream: a ring buffer, from which any number of readers are served.

    Readers on this machine map the ring and read it in place, as `Doorbell` tells them to; others are sent
    the samples. `send` never waits for a reader, and may be called by any thread, one at a time.

    Parameters
    ----------
    name : str
        The output's name.
    node : str
        Name of the node whose output it is, if any.
    context : StreamContext, optional
        Reactor and keys. Without one the stream stands by itself: it uses a reactor of this process's own,
        and whoever is given its `address` may read it.

    Examples
    --------
    >>> from pyacq_lab import InputStream, OutputStream
    >>> output = OutputStream()
    >>> output.configure(dtype="float32", shape=(-1, 16), sample_rate=30e3)
    >>> reader = InputStream().connect(output)
    >>> output.send(np.zeros((256, 16), "float32"))
    >>> reader.recv(timeout=5).data.shape
    (256, 16)
    >>> reader.close(), output.close()
    (None, None)
    """

    def __init__(self, name: str = "out", *, node: str = "", context: StreamContext | None = None) -> None:
        self.name = name
        self.node = node
        self._server = RingServer(node, checked_name(name), context)
        self._filters: list[Filter] = []
        self._begins = self._server.lent  # whether the next chunk begins an epoch by itself
        # Of one that nobody has any more, nothing is to be left, and its readers are to hear of it.
        self._forgotten = weakref.finalize(self, _put_away, self._server)
        self._forgotten.atexit = False

    def __repr__(self) -> str:
        spec = self.spec
        what = (
            "not configured"
            if spec is None
            else f"{spec.np_dtype}{list(spec.shape)} at {spec.sample_rate:g} Hz"
        )
        return f"<OutputStream {self.full_name}: {what}{', closed' if self._server.closed else ''}>"

    def __reduce__(self) -> Never:
        raise ConfigurationError(
            f"output {self.full_name} belongs to this process and cannot be sent to another: send its "
            "address (output.address), and read it there by InputStream().connect(address)"
        )

    # --- what it is, and where

    @property
    def full_name(self) -> str:
        """Name with that of its node."""
        return self._server.full_name

    @property
    def spec(self) -> StreamSpec | None:
        """What the stream is; None until it is configured."""
        return None if (ring := self._server.ring) is None else ring.spec

    @property
    def address(self) -> StreamAddress:
        """Where it can be read; another process connects to it. Raises LifecycleError before `configure`."""
        address = self._server.door.address
        if address is None:
            raise LifecycleError(f"output {self.full_name} has no address yet: configure it first")
        return address

    @property
    def context(self) -> StreamContext | None:
        """What a reader in this process may use as well; None: what all streams of this process share."""
        return None if self._server.lent else self._server.context

    @property
    def next_index(self) -> int:
        """Absolute index of the next sample to be sent, in the present epoch."""
        return 0 if (ring := self._server.ring) is None else ring.stop

    def serve(
        self,
        protocol: Protocol = "tcp",
        interface: str | None = None,
        port: int | str = "*",
        encrypted: bool = True,
    ) -> StreamAddress:
        """Listen for readers, instead of where it listened before; returns the new address.

        Raises
        ------
        ConfigurationError
            It cannot listen there; it goes on where it was.
        """
        self._server.check_usable()
        return self._server.door.open(protocol, interface, port, encrypted)

    def configure(
        self,
        spec: StreamSpec | None = None,
        *,
        protocol: Protocol | None = None,
        interface: str | None = None,
        port: int | str = "*",
        transfermode: TransferMode | None = None,
        encrypted: bool = True,
        **fields: Any,
    ) -> None:
        """Say what the stream is, and how it is served. What the ring held is forgotten if that changes it.

        Parameters
        ----------
        spec : StreamSpec, optional
            What the stream is; or say it by ``fields``, as `StreamSpec.of` takes them: dtype, shape,
            sample_rate, units, channel_names, scale, offset, buffer_size, compression, ... Without
            either it stays what it is.
        protocol : {'tcp', 'ipc', 'inproc'}
            For readers anywhere, on this machine, in this process. tcp unless given.
        interface : str
            IP address to listen at, by which readers reach this machine; this machine only unless given.
        port : int or '*'
            TCP port; any free one unless given.
        transfermode : {'auto', 'sharedmem', 'plaindata'}
            Whether readers on this machine share memory with it: those that can; all, and others are
            refused; none.
        encrypted : bool
            Whether readers prove themselves and samples are encrypted on their way. Only a stream that does
            not leave this machine can go without.

        Raises
        ------
        ConfigurationError, MissingDependency
            Something is out of range or missing; nothing was changed.
        LifecycleError
            It is running.
        """
        server = self._server
        server.check_usable()
        spec = (
            self.spec if spec is None and not fields and self.spec is not None else _described(spec, fields)
        )
        mode = transfermode or server.transfermode
        check_mode(mode, spec.compression)
        with server.lock:
            ring, memory = server.ring, server.memory
            fresh = server.lent and ring is not None and ring.position == 0
            if server.n_waiting or (server.running and not fresh):
                raise LifecycleError(
                    f"output {self.full_name} is running: stop its node, or call end(), before configuring it"
                )
            # The ring first: where it cannot be had, nothing has changed.
            if ring is None or ring.spec != spec or mode != server.transfermode:
                ring, memory = server.make_ring(spec, mode)
            if protocol is not None or interface is not None or port != "*" or server.door.address is None:
                self.serve(protocol or "tcp", interface, port, encrypted)
            server.transfermode = mode
            if ring is not server.ring:
                server.use(ring, memory)
            self._begins = server.lent

    def add_filter(self, function: Filter) -> None:
        """Have each chunk's samples passed through a function before they are sent, after those added before.

        It is called by the thread that sends, with an array (n_samples, ...), and gives as many samples of
        the stream's shape and dtype.
        """
        if not callable(function):
            raise ConfigurationError(f"add_filter({function!r}): wanted a function of an array of samples")
        self._filters.append(function)

    # --- samples

    def begin(self, first: int = 0) -> None:
        """Start a new epoch: the next sample sent has index ``first``."""
        server = self._server
        with server.lock:
            server.ready_ring().begin_epoch(checked_index(first))
            server.set_running(True)

    def end(self) -> None:
        """Say that the epoch is over; idempotent. Samples can be sent again after `begin` or `reset`."""
        server = self._server
        with server.lock:
            if server.running and not server.closed:
                self._begins = False
                server.set_running(False)

    def reset(self, first: int = 0) -> None:
        """Forget everything sent so far and start a new epoch: nobody is given anything stale."""
        server = self._server
        with server.lock:
            ring = server.ready_ring()
            first = checked_index(first)
            ring.forget()
            server.audience.outdate()
            ring.begin_epoch(first)
            server.set_running(True)

    def send(
        self,
        data: npt.ArrayLike,
        time_ns: int | None = None,
        uncertainty_ns: int = -1,
        *,
        index: int | None = None,
        lost: int = 0,
        reason: str = "overrun",
    ) -> None:
        """Append a chunk and offer it to all readers. Never waits for one.

        Parameters
        ----------
        data : array_like, shape (n_samples, ...)
            Samples; cast to the stream's dtype where that is a matter of size only.
        time_ns : int, optional
            Time of the first sample, ns since 1970 UTC; now, less their duration, unless given.
        uncertainty_ns : int
            Half-width of the interval in which that lies, ns; -1 unknown.
        index : int, optional
            Absolute index of the first sample; those between the last chunk and this are lost.
        lost : int
            The same by their number: samples lost right before these, before they reached the stream.
        reason : str
            Why they were lost, in a word.

        Raises
        ------
        StreamMismatch
            The samples have another shape, a dtype that does not fit the stream's, or an index of the past.
            Nothing was sent.
        ConfigurationError
            The index, the time or what was lost are no whole numbers, or out of range; the reason is no text;
            or both index and lost are given.
        LifecycleError
            The stream is not configured, closed, or its epoch was ended.
        """
        try:
            array = np.asarray(data)
        except ValueError as error:  # lists of unequal length
            raise StreamMismatch(
                f"output {self.full_name}: what came is no array of samples: {error}"
            ) from None
        if array is not data and isinstance(data, np.ma.MaskedArray):
            raise StreamMismatch(f"output {self.full_name}: a masked array came; send what lies between gaps")
        for function in self._filters:
            array = filtered(function, array, f"output {self.full_name}")
        if index is not None or lost != 0 or time_ns is not None or uncertainty_ns != -1:
            index, lost, time_ns, uncertainty_ns = checked_place(index, lost, time_ns, uncertainty_ns, reason)
        server = self._server
        with server.lock:
            ring = server.ready_ring()
            if array.dtype != ring.dtype or array.shape[1:] != ring.sample_shape or not array.ndim:
                array = fitting(array, ring.spec, f"output {self.full_name}")
            if not server.running:
                if not self._begins:
                    raise LifecycleError(
                        f"output {self.full_name} is not running: begin() starts its next epoch, and reset() "
                        "one that has everything before forgotten"
                    )
                self.begin(index or 0)
            if index is not None:
                lost = index - ring.stop
            if lost < 0:
                raise StreamMismatch(
                    f"output {self.full_name} was given samples from {ring.stop + lost} on, but stands at "
                    f"{ring.stop} already: samples of the past cannot change; reset() starts anew"
                )
            if ring.stop + lost + len(array) > MOST_INDEX:
                raise StreamMismatch(
                    f"output {self.full_name}: indices end at {MOST_INDEX}; reset() starts anew"
                )
            if time_ns is None:
                time_ns = time.time_ns() - round(len(array) / ring.spec.sample_rate * 1e9)
            ring.write(array, time_ns, uncertainty_ns, lost, reason)
            server.tell(ring)

    def wait_room(self, count: int, timeout: float) -> bool:
        """Wait until ``count`` samples can be sent without overwriting any that a lossless reader lacks.

        For sources that can wait, such as file replay. False where there is no room within ``timeout`` s.

        Raises
        ------
        ConfigurationError
            The ring does not hold so many at all.
        """
        return self._server.wait_room(whole("count", count), checked_timeout(timeout))

    # --- questions

    def status(self) -> PortStatus:
        """Snapshot of the port; any thread."""
        server = self._server
        with server.lock:
            ring = server.ring
            if ring is None:
                return PortStatus(name=self.name, transfermode=server.transfermode)
            return PortStatus(
                name=self.name,
                epoch=max(0, ring.epoch),
                stop=ring.stop,
                samples=ring.position,
                overruns=ring.overruns,
                readers=len(server.audience),
                transfermode=server.transfermode,
            )

    def readers(self) -> tuple[ReaderStatus, ...]:
        """Accounts of all readers, as this end has them; any thread."""
        server = self._server
        with server.lock:
            return () if server.ring is None else server.audience.status(server.ring)

    def close(self) -> None:
        """Say that nothing will come any more, and stop serving; idempotent."""
        self._forgotten.detach()
        self._server.close()


def _put_away(server: RingServer) -> None:
    """Close what an output that nobody has any more has left, and say that nobody has closed it.

    In a thread of its own: garbage is collected in any thread, also in those that this waits for.
    """
    if not server.is_here:
        return
    threading.Thread(target=server.close, name="putting a stream away").start()
    warnings.warn(
        f"output {server.full_name} was never closed: call close(), or use it in a with statement",
        ResourceWarning,
        stacklevel=2,
    )


def check_mode(transfermode: Any, compression: str, whose: str = "") -> None:
    """Refuse a way to serve a stream that this system has not, or that makes no sense.

    Raises
    ------
    ConfigurationError, MissingDependency
        Says what to give instead.
    """
    check_choice("transfermode", transfermode, TransferMode, whose)
    of = f" of {whose}" if whose else ""
    if transfermode == "sharedmem" and not CAN_SHARE:
        raise ConfigurationError(
            f"transfermode='sharedmem'{of}: its machine's system cannot share memory; use 'auto'"
        )
    if transfermode == "sharedmem" and compression:
        raise ConfigurationError(
            f"compression={compression!r}{of} with transfermode='sharedmem': in shared memory samples are "
            "never packed; give compression='', or 'auto' for readers of other machines as well"
        )
    if compression:
        codec_library()


def _described(spec: StreamSpec | None, fields: dict[str, Any]) -> StreamSpec:
    if spec is not None:
        if not isinstance(spec, StreamSpec):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{spec!r} came as a stream's spec; wanted a StreamSpec, or its fields")
        return spec.replace(**fields) if fields else spec
    fields.setdefault("dtype", "<f8")
    try:
        return StreamSpec.of(fields.pop("dtype"), **fields)
    except TypeError as error:
        known = ", ".join(StreamSpec.__struct_fields__)
        raise ConfigurationError(f"{error}; a stream is described by {known}") from None
