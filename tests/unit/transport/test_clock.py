import threading
import time

from pyacq_lab.transport.clock import SystemClock


def test_time_never_steps_back_and_all_clocks_of_a_process_agree():
    clocks = [SystemClock(), SystemClock()]
    readings = [clock.now_ns() for _ in range(1000) for clock in clocks]

    assert readings == sorted(readings)


def test_it_tells_utc():
    before = time.time_ns()
    now = SystemClock().now_ns()

    assert abs(now - before) < 10**9  # unless the machine's clock was stepped since the process began


def test_an_anchor_can_be_handed_on():
    clock = SystemClock()

    assert SystemClock(clock.anchor_ns).anchor_ns == clock.anchor_ns


def test_a_sleep_ends_when_woken():
    clock = SystemClock()
    sleeper = threading.Thread(target=clock.sleep, args=(3600,))
    sleeper.start()
    clock.wake()
    sleeper.join(30)

    assert not sleeper.is_alive()


def test_once_woken_it_does_not_sleep_until_rearmed():
    clock = SystemClock()
    clock.wake()
    clock.sleep(3600)
    clock.rearm()
    before = clock.now_ns()
    clock.sleep(0.001)

    assert clock.now_ns() - before >= 10**6
