"""Secrets at rest: they open only with their key, in their own row and column."""

from __future__ import annotations

import base64
import contextlib
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto import CannotDecrypt, KeyRing, parse_keys

OLD = base64.b64encode(bytes(range(32))).decode()
NEW = base64.b64encode(bytes(range(32, 64))).decode()
RING = KeyRing.from_setting(f"new:{NEW},old:{OLD}")
ROW = "0b8a7f6e-0000-4000-8000-000000000001"
OTHER_ROW = "0b8a7f6e-0000-4000-8000-000000000002"


def encrypt(text: str = "EAAG-secret", ring: KeyRing = RING) -> str:
    return ring.encrypt(text, row_id=ROW, column="access_token")


@pytest.mark.parametrize(
    "row_id, column",
    [(OTHER_ROW, "access_token"), (ROW, "app_secret"), ("", "access_token"), (ROW, "")],
)
def test_a_ciphertext_moved_to_another_row_or_column_does_not_open(row_id: str, column: str) -> None:
    with pytest.raises(CannotDecrypt, match="moved"):
        RING.decrypt(encrypt(), row_id=row_id, column=column)


@given(position=st.integers(0, 200), letter=st.sampled_from("AB_-x9.= é"))
def test_a_ciphertext_with_one_changed_letter_does_not_open(position: int, letter: str) -> None:
    original = encrypt()
    position %= len(original)
    changed = original[:position] + letter + original[position + 1 :]
    if changed == original:
        return

    with pytest.raises(CannotDecrypt):
        RING.decrypt(changed, row_id=ROW, column="access_token")


@pytest.mark.parametrize("text", ["a", "ab"])
def test_a_ciphertext_is_written_in_one_way_only(text: str) -> None:
    """The last letter holds bits that stand for nothing; another letter would open as well."""
    ciphertext = encrypt(text)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    opened = []

    for letter in alphabet.replace(ciphertext[-1], ""):
        with contextlib.suppress(CannotDecrypt):
            opened.append(RING.decrypt(ciphertext[:-1] + letter, row_id=ROW, column="access_token"))

    assert opened == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "EAAG-secret",
        "v1",
        "v1.new",
        "v1.new.",
        "v2.new.AAAA",
        "v1..AAAA",
        "v1.new.AAAA",
        "v1.new.AA==",
        "v1.new.Ä",
    ],
)
def test_a_text_that_we_never_wrote_does_not_open(text: str) -> None:
    with pytest.raises(CannotDecrypt):
        RING.decrypt(text, row_id=ROW, column="access_token")


def test_a_text_under_a_key_that_is_gone_says_which_setting_lacks_it() -> None:
    ciphertext = encrypt(ring=KeyRing.from_setting(f"lost:{OLD}"))

    with pytest.raises(CannotDecrypt, match="ENCRYPTION_KEYS"):
        RING.decrypt(ciphertext, row_id=ROW, column="access_token")


def test_a_key_that_changed_under_its_id_opens_nothing() -> None:
    ciphertext = encrypt(ring=KeyRing.from_setting(f"new:{OLD}"))

    with pytest.raises(CannotDecrypt):
        RING.decrypt(ciphertext, row_id=ROW, column="access_token")


def test_no_error_tells_the_plaintext_the_ciphertext_or_a_key() -> None:
    ciphertext = encrypt()

    with pytest.raises(CannotDecrypt) as caught:
        RING.decrypt(ciphertext, row_id=OTHER_ROW, column="access_token")

    told = f"{caught.value!r} {caught.value.__cause__!r} {RING!r}"
    assert caught.value.__suppress_context__
    assert not any(secret in told for secret in (ciphertext, OLD, NEW, "EAAG-secret"))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "at least one key"),
        (" , ", "at least one key"),
        (OLD, "key 1 has no colon"),
        (f"a:{OLD},{NEW}", "key 2 has no colon"),
        (f"a b:{OLD}", "id at key 1"),
        (f":{OLD}", "id at key 1"),
        (f"{'a' * 33}:{OLD}", "id at key 1"),
        (f"a.b:{OLD}", "id at key 1"),
        (f"a:{OLD},a:{NEW}", "same id twice, at key 2"),
        ("a:%%%", "no base64 at key 1"),
        ("a:" + base64.b64encode(bytes(16)).decode(), "16 bytes at key 1"),
        ("a:", "0 bytes at key 1"),
    ],
)
def test_a_wrong_key_ring_names_the_problem_and_no_key(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        parse_keys(text)

    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)


def test_a_ring_without_keys_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        KeyRing({})


@pytest.mark.parametrize(
    "encoded", [OLD, OLD.rstrip("="), base64.urlsafe_b64encode(bytes([251] * 32)).decode()]
)
def test_keys_may_be_written_in_either_alphabet_with_or_without_padding(encoded: str) -> None:
    assert len(parse_keys(f" a : {encoded} ".replace(" :", ":"))["a"]) == 32


@given(text=st.text(st.characters(codec="utf-8")), row_id=st.text(st.characters(codec="utf-8")))
def test_what_was_encrypted_opens_in_its_place(text: str, row_id: str) -> None:
    ciphertext = RING.encrypt(text, row_id=row_id, column="pin")

    assert RING.decrypt(ciphertext, row_id=row_id, column="pin") == text
    assert ciphertext.startswith("v1.new.")


def test_the_same_text_never_looks_the_same() -> None:
    assert encrypt() != encrypt()


def test_the_first_key_writes_and_every_key_reads() -> None:
    old_ring = KeyRing.from_setting(f"old:{OLD}")
    ciphertext = encrypt("text", old_ring)

    assert ciphertext.startswith("v1.old.")
    assert RING.decrypt(ciphertext, row_id=ROW, column="access_token") == "text"


def test_what_an_older_key_wrote_needs_rotation_and_what_the_newest_wrote_does_not() -> None:
    assert RING.needs_rotation(encrypt(ring=KeyRing.from_setting(f"old:{OLD}")))
    assert RING.needs_rotation("v0.new.AAAA")
    assert RING.needs_rotation("plain")
    assert not RING.needs_rotation(encrypt())


def test_a_keyed_hash_is_apart_for_each_purpose_value_and_key() -> None:
    other = KeyRing.from_setting(f"old:{OLD}")

    hashes = {
        RING.keyed_hash("123456", purpose="code"),
        RING.keyed_hash("123456", purpose="phone"),
        RING.keyed_hash("123457", purpose="code"),
        other.keyed_hash("123456", purpose="code"),
    }

    assert len(hashes) == 4
    assert RING.keyed_hash("123456", purpose="code") in hashes


def test_a_code_hashed_before_a_rotation_is_still_recognised() -> None:
    before = KeyRing.from_setting(f"old:{OLD}").keyed_hash("123456", purpose="code")

    assert RING.is_keyed_hash(before, "123456", purpose="code")
    assert not RING.is_keyed_hash(before, "123457", purpose="code")
    assert not RING.is_keyed_hash("é", "123456", purpose="code")


def test_a_ring_shows_its_ids_only(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").error("%r %s", RING, RING)

    assert "KeyRing(new, old)" in caplog.text
    assert NEW not in caplog.text
