"""Key files: what is read, when it is read again, and what is refused."""

from __future__ import annotations

import os

import pytest

from pyacq_lab.errors import AuthenticationError
from pyacq_lab.transport.keyring import Keyring, split_host_key
from pyacq_lab.transport.keys import KeyPair, check_key


@pytest.fixture
def ring(tmp_path) -> Keyring:
    return Keyring(tmp_path / "keys")


def test_keys_are_made_once_and_nobody_else_can_read_them(ring) -> None:
    pair = ring.user()
    assert ring.user() == pair != ring.host()
    assert ring.folder.stat().st_mode & 0o777 == 0o700
    assert (ring.folder / "user.key").stat().st_mode & 0o777 == 0o600
    assert pair.secret not in repr(pair)


def test_files_that_have_not_changed_are_not_read_again(ring, monkeypatch) -> None:
    key = KeyPair.generate().public
    ring.authorize(key, "a comment")
    assert ring.authorized() == {ring.user().public, key}
    monkeypatch.setattr(Keyring, "_lines", lambda *_: pytest.fail("read again"))
    for _ in range(100):
        assert key in ring.authorized()


def test_an_edited_file_counts_at_once(ring) -> None:
    keys = [KeyPair.generate().public for _ in range(2)]
    ring.authorize(keys[0], "x")
    assert keys[0] in ring.authorized()
    (ring.folder / "authorized_keys").write_text(f"#\n# {keys[0]}\n\n  {keys[1]}  rig 2\nnonsense here\n")
    assert ring.authorized() == {ring.user().public, keys[1]}
    (ring.folder / "authorized_keys").unlink()
    assert ring.authorized() == {ring.user().public}


def test_no_key_begins_as_a_comment_does() -> None:
    with pytest.raises(AuthenticationError):  # '#' is the last digit of Z85: five of it exceed 32 bits
        check_key("#" + KeyPair.generate().public[1:])


def test_a_key_put_behind_an_unfinished_line_stands_on_its_own(ring) -> None:
    keys = [KeyPair.generate().public for _ in range(2)]
    ring.user()
    path = ring.folder / "authorized_keys"
    path.write_text(keys[0])
    path.chmod(0o600)
    ring.authorize(keys[1], "two\nlines")
    assert ring.authorized() >= set(keys)
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.skipif(os.name != "posix", reason="file rights are a matter of POSIX systems")
def test_rights_are_checked_although_the_text_is_the_same(ring) -> None:
    ring.authorize(KeyPair.generate().public, "x")
    ring.authorized()
    path = ring.folder / "authorized_keys"
    path.chmod(0o622)
    for _ in range(2):
        with pytest.raises(AuthenticationError, match=f"chmod 600 {path}"):
            ring.authorized()
    path.chmod(0o600)
    assert len(ring.authorized()) == 2


def test_the_last_key_noted_of_a_host_is_the_one(ring) -> None:
    first, second = (KeyPair.generate().public for _ in range(2))
    assert ring.known_host("tcp://10.0.0.5:1") is None
    for key in (first, second, second):
        ring.remember_host("tcp://10.0.0.5:1", key)
    assert ring.known_host("tcp://10.0.0.5:1") == second
    assert len((ring.folder / "known_hosts").read_text().splitlines()) == 2
    assert ring.known_host("tcp://127.0.0.1:1") == ring.host().public


@pytest.mark.parametrize("key", ["#" * 40, "", "a", "x" * 41, "é" * 40, "\\" * 40, "x" * 40 + " " * 40])
def test_what_is_no_key_is_refused(key) -> None:
    with pytest.raises(AuthenticationError, match="wanted"):
        split_host_key(key)


def test_a_key_file_without_a_key_is_named_with_the_remedy(ring) -> None:
    ring.user()
    (ring.folder / "user.key").write_text("")
    with pytest.raises(AuthenticationError, match=r"user\.key holds no key.*remove it"):
        Keyring(ring.folder).user()


def test_a_disk_that_takes_no_key_leaves_no_half_of_one(ring, monkeypatch) -> None:
    def full(self: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(KeyPair, "generate", classmethod(full))
    with pytest.raises(OSError, match="No space left"):
        ring.user()
    assert list(ring.folder.iterdir()) == []
