import logging

import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.loglevels import check_level, check_logger_name
from pyacq_lab.transport.loglevels import set_log_level


@pytest.mark.parametrize("name", ["", "numpy", "pyacq_lab.node", "a.b-c.d_e", "Ω"])
def test_names_of_loggers(name):
    assert check_logger_name(name) == name


@pytest.mark.parametrize("name", [".a", "a.", "a..b", "a\nb", " a", "x" * 201, 7, None])
def test_other_names_are_refused(name):
    with pytest.raises(ConfigurationError, match="such as 'numpy'"):
        check_logger_name(name)


def test_levels_by_number_and_name():
    assert [check_level(level) for level in ("debug", "WARNING", 0, 15)] == [10, 30, 0, 15]
    for level in ("LOUD", -1, 1001, True, 2.5, None):
        with pytest.raises(ConfigurationError, match=r"0 to 1000 or one of .*DEBUG"):
            check_level(level)


def test_a_level_is_set_and_the_one_before_is_told():
    assert set_log_level("unit.test.levels", 15) == logging.NOTSET
    assert set_log_level("unit.test.levels", 0) == 15
    with pytest.raises(ConfigurationError):
        set_log_level("unit.test.levels", 5000)
    assert logging.getLogger("unit.test.levels").level == 0
