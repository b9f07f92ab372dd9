import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ProtocolError
from pyacq_lab.wire.clock import OffsetEstimator, Probe

US = 1000
MS = 1_000_000
S = 1_000_000_000
delays = st.integers(1, 50_000).map(lambda us: us * US)


def probe(at, offset, there, back, held=10 * US):
    heard = at + there + offset
    return Probe(at, heard, heard + held, at + there + held + back)


class Peer:
    """Another machine's clock, and a road to it; time is simulated, in ns by our clock.

    ``delay`` gives the two ways of a probe, ns.
    """

    def __init__(self, delay, offset=0, drift_ppm=0.0, wander_ppm=0.0, seed=0):
        self.now = 1_700_000_000 * S
        self.estimator = OffsetEstimator()
        self.drift_ppm = drift_ppm
        self._wander_ppm = wander_ppm
        self._delay = delay
        self._offset = float(offset)
        self._random = random.Random(seed)
        self.steps = []

    @property
    def offset(self):
        return round(self._offset)

    def jump(self, ns):
        self._offset += ns

    def wait(self, ns):
        self.now += ns
        self._offset += ns * self.drift_ppm * 1e-6
        self.drift_ppm += self._random.uniform(-1, 1) * self._wander_ppm * ns / S

    def ask(self, asleep_there=0):
        """One probe; the other machine may fall asleep between the question and its answer."""
        asked = self.now
        there, back = self._delay(self._random)
        self.wait(there)
        heard = said = self.now + self.offset
        if asleep_there:
            self.wait(asleep_there)
            self.jump(-asleep_there)
        self.wait(back)
        step = self.estimator.add(Probe(asked, heard, said, self.now))
        if step is not None:
            self.steps.append(step)

    def burst(self, n=4):
        for _ in range(n):
            self.ask()

    def follow(self, seconds):
        """Probe as the manager does, and check all the time that the truth is within the uncertainty."""
        for _ in range(seconds // 5):
            self.burst()
            for _ in range(5):
                self.check()
                self.wait(S)

    def check(self):
        estimate = self.estimator.estimate(self.now)
        assert abs(estimate.offset_ns - self.offset) <= estimate.uncertainty_ns
        return estimate


def lan(rng):
    return 60 * US + int(rng.expovariate(1 / (40 * US))), 60 * US + int(rng.expovariate(1 / (40 * US)))


def one_sided(rng):
    """The way back is through a queue that is sometimes full."""
    return 80 * US, 80 * US + (rng.randrange(30 * MS) if rng.random() < 0.8 else 0)


def far(rng):
    """Always unequal, by milliseconds."""
    return 20 * MS + rng.randrange(5 * MS), 3 * MS + rng.randrange(9 * MS)


roads = pytest.mark.parametrize("road", [lan, one_sided, far])


@given(st.integers(-(10**12), 10**12), st.lists(st.tuples(delays, delays), min_size=1, max_size=100))
def test_the_true_offset_lies_within_the_uncertainty(offset, ways):
    estimator = OffsetEstimator()
    now = 0
    for there, back in ways:
        assert estimator.add(probe(now, offset, there, back)) is None
        now += 10**8

    estimate = estimator.estimate(now)

    assert abs(estimate.offset_ns - offset) <= estimate.uncertainty_ns


def test_the_shortest_round_trip_wins_and_its_half_is_the_uncertainty():
    estimator = OffsetEstimator(drift_ppm=0)
    estimator.add(probe(0, 500, 90 * US, 10 * US))
    estimator.add(probe(0, 500, 5 * US, 5 * US))
    estimator.add(probe(0, 500, 10 * US, 90 * US))

    estimate = estimator.estimate(0)

    assert (estimate.offset_ns, estimate.uncertainty_ns, estimate.n_probes) == (500, 5 * US + 1, 3)


def test_an_old_probe_is_worth_less():
    estimator = OffsetEstimator(drift_ppm=50)
    estimator.add(probe(0, 0, 10 * US, 10 * US))
    fresh = estimator.estimate(30 * US).uncertainty_ns

    assert estimator.estimate(30 * US + S).uncertainty_ns == fresh + 50 * US


def test_a_fresh_slow_probe_beats_an_old_fast_one():
    estimator = OffsetEstimator(drift_ppm=50)
    estimator.add(probe(0, 0, 10 * US, 10 * US))
    later = 100 * S
    estimator.add(probe(later, 777, 100 * US, 100 * US))

    assert estimator.estimate(later).offset_ns == 777


def test_nothing_is_known_before_the_first_probe():
    assert OffsetEstimator().estimate(0) is None


@pytest.mark.parametrize("readings", [(10, 0, 0, 5), (0, 0, 100, 50), (0, 5, 4, 10)])
def test_impossible_readings_are_refused(readings):
    with pytest.raises(ProtocolError, match="in order"):
        OffsetEstimator().add(Probe(*readings))


@roads
@pytest.mark.parametrize("drift", [0.0, 12.3, -80.0, 480.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_drifting_clock_is_followed_and_asymmetry_is_no_step(road, drift, seed):
    peer = Peer(road, offset=-3 * S, drift_ppm=drift, wander_ppm=0.01, seed=seed)

    peer.follow(600)

    assert peer.steps == []
    assert peer.estimator.n_probes == 480


def test_drift_becomes_known_and_narrows_the_uncertainty():
    peer = Peer(lan, drift_ppm=12.3)
    peer.burst()
    assert peer.check().drift_ppm is None
    peer.wait(5 * S)
    unknown = peer.check().uncertainty_ns

    peer.follow(300)

    peer.wait(5 * S)
    known = peer.check()
    assert known.drift_ppm == pytest.approx(12.3, abs=1.0)
    assert known.uncertainty_ns < unknown / 10


def test_one_wild_probe_does_not_turn_the_fit():
    peer = Peer(lan, drift_ppm=12.3)
    peer.follow(120)
    peer.estimator.add(probe(peer.now, peer.offset, 0, 900 * MS))
    peer.wait(S)
    peer.follow(30)

    assert peer.check().drift_ppm == pytest.approx(12.3, abs=2.0)
    assert peer.steps == []


def test_a_changed_drift_is_learned_anew():
    peer = Peer(lan, drift_ppm=20.0)
    peer.follow(300)
    peer.drift_ppm = -150.0  # as NTP does
    peer.burst()
    for _ in range(4):
        peer.wait(5 * S)
        peer.burst()

    peer.follow(60)

    assert peer.check().drift_ppm == pytest.approx(-150.0, abs=5.0)
    assert peer.steps == []


@roads
@pytest.mark.parametrize("size", [17 * S, -17 * S, 100 * MS, -100 * MS])
def test_a_step_is_found_and_measured(road, size):
    peer = Peer(road, offset=S, drift_ppm=-30.0)
    peer.follow(120)
    peer.jump(size)

    for _ in range(40):  # over the one-sided road, wide probes prove nothing
        if peer.steps:
            break
        peer.ask()

    (found,) = peer.steps
    assert found == pytest.approx(size, abs=2 * peer.check().uncertainty_ns)
    peer.follow(120)
    assert peer.estimator.n_steps == len(peer.steps) == 1


def test_a_short_burst_is_enough_to_find_a_step():
    peer = Peer(lan, drift_ppm=30.0)
    peer.follow(20)
    peer.jump(-20 * MS)
    peer.burst(3)

    assert len(peer.steps) == 1
    assert peer.check().n_probes == 3


def test_a_step_too_small_to_be_told_from_drift_is_followed_all_the_same():
    peer = Peer(lan, drift_ppm=10.0)
    peer.follow(120)
    peer.jump(MS)
    peer.burst()

    peer.check()
    assert peer.steps == []


@pytest.mark.parametrize("asleep", [S, 3600 * S])
def test_a_machine_that_slept_has_stepped_back(asleep):
    peer = Peer(lan, offset=5 * MS, drift_ppm=10.0)
    peer.follow(60)
    peer.ask(asleep_there=asleep)
    peer.burst(5)

    (found,) = peer.steps
    assert found == pytest.approx(-asleep, abs=10 * MS)
    peer.follow(60)


def test_we_slept_while_a_probe_was_under_way():
    """Its answer tells of an instant of our sleep: of neither before nor after."""
    peer = Peer(lan, drift_ppm=10.0)
    peer.follow(60)
    middle = peer.now + peer.offset + 100 * S
    peer.jump(300 * S)
    peer.estimator.add(Probe(peer.now, middle, middle, peer.now + 200 * US))
    peer.wait(MS)
    assert peer.estimator.n_steps == 0
    peer.burst(3)

    (found,) = peer.steps
    assert found == pytest.approx(300 * S, abs=10 * MS)
    peer.check()


def test_estimates_between_probes_do_not_jump():
    peer = Peer(lan, drift_ppm=100.0)
    peer.follow(120)
    seen = [peer.estimator.estimate(peer.now + i * 100 * MS).offset_ns for i in range(20)]

    assert all(0 <= b - a <= 20 * US for a, b in itertools.pairwise(seen))
