from pyacq_lab.model.status import PostMortem


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
