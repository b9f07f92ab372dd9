import itertools

import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager import freenames


@pytest.mark.parametrize("name", ["host", "manager", "notebook"])
def test_a_nodegroup_is_not_named_as_another_process_in_the_log(name):
    with pytest.raises(ConfigurationError, match=f"'{name}' came, which stands for another process"):
        freenames.group([], name, itertools.count())


def test_a_name_that_is_far_too_long_is_told_in_short():
    with pytest.raises(ConfigurationError, match="1 to 64 characters") as refusal:
        freenames.group([], "x" * 500, itertools.count())
    assert len(str(refusal.value)) < 200
