from pyacq_lab.model.ledger import HopLedger, PortStatus
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.status import NodeStatus, PostMortem


def test_a_post_mortem_is_a_card_that_leads_to_its_log():
    found = PostMortem(name="daq", pid=7, description="killed by <SIGKILL>", output=("a <b>", "red \x1b[2J"))
    html = found._repr_html_()
    for words in (str(found), html):
        assert "manager.logs(pid=7)" in words
        assert "nodegroup daq" in words
    assert "killed by &lt;SIGKILL&gt;" in html
    assert "a &lt;b&gt;" in html
    assert "\x1b" not in html
    assert "it wrote nothing" in PostMortem(name="daq")._repr_html_()


def test_a_nodes_figures_are_those_of_its_ports():
    first = PortStatus(name="a", samples=90, missing=5, ledger=HopLedger(sent=100, received=90, lag=0.5))
    second = PortStatus(name="b", samples=10, ledger=HopLedger(sent=10, received=10, lag=0.1))
    status = NodeStatus(name="n", type="T", state=State.RUNNING, inputs=(first, second))
    assert (status.samples, status.gaps, status.lag) == (90, 5, 0.5)
    out = PortStatus(name="out", samples=80, overruns=7)
    status = NodeStatus(name="n", type="T", state=State.RUNNING, inputs=(first,), outputs=(out,))
    assert (status.samples, status.gaps) == (80, 7)
    empty = NodeStatus(name="n", type="T", state=State.CREATED)
    assert (empty.samples, empty.gaps, empty.lag, empty.last_error) == (0, 0, 0.0, "")
