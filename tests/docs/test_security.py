"""What the page on security says of keys, held against a host server and users of other machines."""

from __future__ import annotations

import stat

import psutil
import pytest

from pyacq_lab.errors import AuthenticationError
from pyacq_lab.manager.manager import Manager
from pyacq_lab.transport.keyring import Keyring


@pytest.fixture
def user(tmp_path):
    """``user(name)`` is a manager with keys of its own, as on another machine."""
    managers = []

    def make(name):
        managers.append(Manager(keyring=Keyring(tmp_path / name)))
        return managers[-1]

    yield make
    for manager in managers:
        manager.close()


def test_a_pairing_token_works_once_and_pairing_lasts(user, host_program):
    endpoint, key = host_program.endpoint, host_program.key
    with user("first") as manager:
        manager.add_host(endpoint, key)
    assert user("first").add_host(endpoint).client.connected  # neither key nor token any more
    with pytest.raises(AuthenticationError):
        user("second").add_host(endpoint, key)


def test_a_user_whose_public_key_is_listed_is_admitted_at_once(user, host_program, jupyter_home):
    manager = user("colleague")
    with pytest.raises(AuthenticationError):
        manager.add_host(host_program.endpoint, host_program.key[:40])
    with (jupyter_home / "pyacq_lab" / "authorized_keys").open("a") as file:
        file.write(f"{manager.user_keys.public} a colleague\n")
    assert manager.add_host(host_program.endpoint, host_program.key[:40]).client.connected


def test_a_manager_does_not_talk_to_a_host_with_another_key(user, host_program):
    with pytest.raises(AuthenticationError, match="did not prove"):
        user("careful").add_host(host_program.endpoint, user("another").user_keys.public)


def test_key_files_are_for_their_owner_only(host_program, jupyter_home):
    keys = [path for path in (jupyter_home / "pyacq_lab").iterdir() if path.suffix == ".key"]
    assert keys
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    keyring = Keyring(tmp_path / "careless")
    keyring.user()
    (tmp_path / "careless" / "user.key").chmod(0o644)
    with pytest.raises(AuthenticationError, match="chmod 600"):
        keyring.user()


def test_no_secret_is_on_the_command_line_or_in_the_environment_of_a_nodegroup(user, host_program):
    manager = user("owner")
    group = manager.create_nodegroup(host=manager.add_host(host_program.endpoint, host_program.key))
    process = psutil.Process(group.pid)
    said = " ".join([*process.cmdline(), *process.environ().values()])
    assert manager.application_keys.secret not in said
    assert manager.user_keys.secret not in said
