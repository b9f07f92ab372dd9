"""Accounts of samples: loss is counted, never hidden."""

from __future__ import annotations

import msgspec


class HopLedger(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts of one connection, from one output to one input, in samples.

    ``sent = received + dropped + pending`` holds at every instant on the receiving side, where ``sent``
    is how far the producer is known to have come since the connection began.

    Attributes
    ----------
    sent : int
        Samples the producer has offered to this connection, as far as the reader has heard.
    received : int
        Samples handed to the reader.
    dropped : int
        Samples that will never arrive.
    repaired : int
        Samples that were lost on the way and fetched again; they count as received.
    nbytes : int
        Bytes of samples received.
    rate : float
        Samples received per second, over the last seconds.
    lag : float
        How far the reader is behind: the duration of the samples that are pending, s.
    transfermode : str
        ``"sharedmem"`` or ``"plaindata"``, also of the last connection; empty before there was one.
    """

    sent: int = 0
    received: int = 0
    dropped: int = 0
    repaired: int = 0
    nbytes: int = 0
    rate: float = 0.0
    lag: float = 0.0
    transfermode: str = ""

    @property
    def pending(self) -> int:
        """Samples offered that are neither received nor given up."""
        return self.sent - self.received - self.dropped

    def after(self, past: HopLedger) -> HopLedger:
        """Accounts of this connection and of those before it, which are over: nothing of them is pending."""
        return HopLedger(
            sent=past.received + past.dropped + self.sent,
            received=past.received + self.received,
            dropped=past.dropped + self.dropped,
            repaired=past.repaired + self.repaired,
            nbytes=past.nbytes + self.nbytes,
            rate=self.rate,
            lag=self.lag,
            transfermode=self.transfermode or past.transfermode,
        )

    def __str__(self) -> str:
        """In words: what flows and how far behind it is, and what was lost."""
        parts: list[str] = []
        if self.transfermode:
            way = "by shared memory" if self.transfermode == "sharedmem" else "by socket"
            parts.append(f"{self.rate:.0f} samples/s {way}")
            if self.lag >= 0.05:
                parts.append(f"{self.lag:.1f} s behind")
        if self.dropped:
            parts.append(f"{self.dropped} samples dropped")
        if self.repaired:
            parts.append(f"{self.repaired} repaired")
        return ", ".join(parts)


class ReaderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One reader of an output, as the producing side knows it.

    Attributes
    ----------
    policy : str
        What happens when it is slow.
    transfermode : str
        ``"sharedmem"`` or ``"plaindata"``.
    offered : int
        Samples written since it subscribed.
    taken : int
        Of those, how many it is known to have dealt with.
    """

    policy: str
    transfermode: str
    offered: int
    taken: int


class PortStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One port of a node at one instant.

    Attributes
    ----------
    name : str
        The port's name.
    epoch : int
        The stream's epoch.
    stop : int
        Absolute index after the newest sample.
    samples : int
        Samples that passed since the node was configured.
    overruns : int
        Samples lost in hardware, or missing in what they are made of (outputs only).
    missing : int
        Samples that it was told will never come, since the node was configured: those of the gaps that
        passed (inputs only).
    readers : int
        Connections now open (outputs only).
    transfermode : str
        ``"auto"``, ``"sharedmem"`` or ``"plaindata"``: how it is served (outputs only; what has come of that
        for an input stands in its ledger).
    ledger : HopLedger or None
        Accounts of the connection (inputs only).
    written : int or None
        Index through which a sink has acknowledged everything (a recorder's inputs only).
    """

    name: str
    epoch: int = 0
    stop: int = 0
    samples: int = 0
    overruns: int = 0
    missing: int = 0
    readers: int = 0
    transfermode: str = ""
    ledger: HopLedger | None = None
    written: int | None = None

    def __str__(self) -> str:
        """In words: how far it is, and its accounts."""
        parts = [f"{self.samples} samples"]
        if self.ledger is not None:
            parts.append(str(self.ledger))
        else:
            parts.append(f"{self.readers} reader{'' if self.readers == 1 else 's'}")
            parts.append(f"transfermode {self.transfermode}" if self.transfermode else "")
        if self.overruns:
            parts.append(f"{self.overruns} overrun")
        return ", ".join(part for part in parts if part)
