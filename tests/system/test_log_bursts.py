"""Nodegroups that say all they can at once, and end: what the bound allows is heard, the rest is counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pyacq_lab.manager.logstore import LogStore

SHOUT = """
import logging
log = logging.getLogger("burst")
for i in range({n}):
    log.info("record %d", i)
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("n_groups", "n", "closes"), [(8, 13_000, "manager"), (3, 13_000, "groups"), (3, 60_000, "groups")]
)
def test_bursts_are_heard_or_counted_to_the_last_record(make_manager, n_groups, n, closes) -> None:
    manager = make_manager(store=LogStore(capacity=1_000_000))
    with ThreadPoolExecutor(n_groups) as pool:
        groups = list(pool.map(lambda i: manager.create_nodegroup(f"burst-{i}"), range(n_groups)))
        assert all(result.ok for result in pool.map(lambda group: group.run(SHOUT.format(n=n)), groups))
        if closes == "groups":  # at once: what still waits is not lost by that
            list(pool.map(lambda group: group.close(), groups))
    manager.close()

    for group in groups:
        said = [r for r in manager.log_server.query(source=group.name, limit=None) if r.channel == "process"]
        heard = [r for r in said if not r.lost]
        n_lost = sum(r.lost for r in said)
        numbers = [int(r.message.split()[1]) for r in heard if r.logger == "burst"]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == n - 1
        assert len(heard) + n_lost == max(r.seq for r in heard) + 1
        assert len(numbers) + n_lost == n  # nothing else was said in the midst of it
        if n < 20_000:  # all of it fits into the queue
            assert n_lost == 0
