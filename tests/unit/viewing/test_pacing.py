from __future__ import annotations

from pyacq_lab.viewing.pacing import AHEAD, TRICKLE_FOR, Pacer

FPS = 30


def run(pacer, begin, seconds, ack_every=None, view="a"):
    """Frames sent while time goes on in steps of one frame, acknowledged every so often."""
    sent = 0
    acked = begin
    for step in range(round(seconds * FPS)):
        now = begin + step / FPS
        if ack_every is not None and now - acked >= ack_every:
            pacer.acknowledge(view, pacer.sent, now)
            acked = now
        if pacer.may_send(now):
            pacer.next_frame(now)
            sent += 1
    return sent


def test_nobody_looks_nothing_is_sent():
    assert run(Pacer(FPS), 0.0, 5.0) == 0


def test_two_acknowledgements_per_second_keep_it_going():
    pacer = Pacer(FPS)
    pacer.hello("a", 0.0)
    assert run(pacer, 0.0, 10.0, ack_every=0.5) == 300


def test_a_silent_page_gets_a_second_and_a_half_and_then_a_trickle():
    pacer = Pacer(FPS)
    pacer.hello("a", 0.0)
    sent = run(pacer, 0.0, 10.0)
    assert FPS * AHEAD <= sent <= FPS * AHEAD + 4 * 10


def test_a_page_that_has_gone_without_a_word_gets_nothing_more():
    pacer = Pacer(FPS)
    pacer.hello("a", 0.0)
    run(pacer, 0.0, TRICKLE_FOR)
    assert run(pacer, TRICKLE_FOR + 1, 10.0) == 0
    pacer.acknowledge("a", pacer.sent, TRICKLE_FOR + 20)
    assert run(pacer, TRICKLE_FOR + 20, 1.0) > 0


def test_out_of_sight_nothing_is_sent():
    pacer = Pacer(FPS)
    pacer.hello("a", 0.0)
    pacer.show("a", False, 0.0)
    assert run(pacer, 0.0, 5.0) == 0
    pacer.show("a", True, 5.0)
    assert run(pacer, 5.0, 1.0) == FPS


def test_the_slowest_page_sets_the_pace():
    pacer = Pacer(FPS)
    pacer.hello("a", 0.0)
    pacer.hello("b", 0.0)
    assert run(pacer, 0.0, 5.0, ack_every=0.5, view="a") < 5 * FPS
    pacer.goodbye("b")
    pacer.acknowledge("a", pacer.sent, 5.0)
    assert run(pacer, 5.0, 5.0, ack_every=0.5, view="a") == 5 * FPS


def test_a_page_is_known_until_it_says_goodbye():
    pacer = Pacer(FPS)
    assert not pacer.watched
    pacer.hello("a", 0.0)
    assert pacer.watched
    pacer.goodbye("a")
    assert not pacer.watched
