import pytest

from pyacq_lab.model.clock import ClockOffset


def test_an_offset_brings_remote_times_home():
    assert ClockOffset(offset_ns=100).to_local(1100) == 1000


@pytest.mark.parametrize(
    ("clock", "said"),
    [
        (ClockOffset(host="lab2"), "<clock of lab2: not measured yet>"),
        (
            ClockOffset(host="lab2", offset_ns=3_214_000, uncertainty_ns=81_000, drift_ppm=12.3, n_probes=24),
            "<clock of lab2: 3.214 ms ahead of the manager's, ± 0.081 ms, drift +12.3 ppm, 24 probes>",
        ),
        (
            ClockOffset(offset_ns=-17 * 10**9, uncertainty_ns=81_000, n_probes=1, n_steps=1),
            "<clock: 17.000000 s behind the manager's, ± 0.081 ms, drift not known yet, 1 probe, 1 step>",
        ),
    ],
)
def test_a_clock_says_how_it_stands(clock, said):
    assert repr(clock) == said
