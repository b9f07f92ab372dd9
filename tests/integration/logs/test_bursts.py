"""Many processes that say all they can at once: nothing is lost within the bound, the rest is counted."""

import pytest

from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.logs import LogOrigin

N_PROCESSES = 8


@pytest.fixture
def server(reactor, keys):
    store = LogStore(capacity=300_000)
    server = LogServer(reactor, keys, SystemClock(), LogOrigin(host="lab", process="manager"), store=store)
    yield server
    server.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("n", "size"), [(13_000, 0), (2000, 20_000)])
def test_a_burst_of_many_processes_is_heard_or_counted_to_the_last_record(server, talker, until, n, size):
    talkers = [talker(f"talker-{i}", "shout", n, size=size) for i in range(N_PROCESSES)]
    for t in talkers:
        server.connect(t.endpoint, t.key, t.name)
    for t in talkers:
        t.go()
    for t in talkers:
        assert t.line() == "said\n"
    until(lambda: all(server.heard(t.name) == n for t in talkers))
    for t in talkers:
        t.go()
    dropped = {t.name: int(t.line().split()[1]) for t in talkers}
    for t in talkers:
        assert t.line() == "unsent 0 threads 1\n"
        t.finish()
    server.disconnect(*dropped, timeout=0)
    until(lambda: len(server.query(contains=f"record {n - 1}")) == N_PROCESSES)

    for name, n_dropped in dropped.items():
        records = server.query(source=f"rig/{name}", limit=None)
        heard = [r.seq for r in records if not r.lost]
        assert sum(r.lost for r in records) == n_dropped
        assert len(heard) + n_dropped == n
        assert heard == sorted(set(heard))
        assert all(r.message == f"record {r.seq}" for r in records if not r.lost)
    if not size:  # all of it fits into the spool
        assert not any(dropped.values())
