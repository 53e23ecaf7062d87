"""Meta's signature over raw bytes: what is refused, and what alone is accepted."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.signatures import appsecret_proof, has_form, is_signed, sign

SECRET = "test_app_secret"
BODY = b'{"object":"whatsapp_business_account","entry":[]}'
GOOD = "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        GOOD.removeprefix("sha256="),
        GOOD.upper(),
        "SHA256=" + GOOD.removeprefix("sha256="),
        "sha256=" + GOOD.removeprefix("sha256=").upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD + " ",
        " " + GOOD,
        GOOD + "\n",
        GOOD.replace("=", " = "),
        "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest(),
        "sha256=" + "0" * 64,
        "sha256=" + "\u0660" * 64,
        "señal",
        "\ud800",
        b"\xff\xfe",
        f"{GOOD},{GOOD}",
    ],
)
def test_a_header_that_is_not_the_signature_is_refused(header: str | bytes | None) -> None:
    assert not is_signed(BODY, header, [SECRET])


@pytest.mark.parametrize("secrets", [[], [""], ["", ""], ["other"], [SECRET + " "]])
def test_a_signature_needs_a_secret_of_ours(secrets: list[str]) -> None:
    assert not is_signed(BODY, GOOD, secrets)


def test_an_unset_secret_is_no_secret() -> None:
    """Anyone can sign with the empty key."""
    assert not is_signed(BODY, sign(BODY, ""), [""])


@pytest.mark.parametrize("body", [b"", BODY + b"\n", BODY.replace(b"[]", b"[ ]"), BODY[:-1]])
def test_other_bytes_are_not_what_was_signed(body: bytes) -> None:
    assert not is_signed(body, GOOD, [SECRET])


@pytest.mark.parametrize("header", [GOOD, GOOD.encode()], ids=["text", "bytes"])
def test_metas_own_vector_is_accepted(header: str | bytes) -> None:
    assert is_signed(BODY, header, [SECRET])
    assert sign(BODY, SECRET) == GOOD


@pytest.mark.parametrize("secrets", [["new", SECRET], [SECRET, "old"], ("", SECRET)])
def test_any_secret_may_have_signed_while_they_are_rotated(secrets: list[str]) -> None:
    assert is_signed(BODY, GOOD, secrets)


@given(body=st.binary(), secret=st.text(min_size=1), position=st.integers(0, 63))
def test_what_we_sign_is_accepted_and_one_changed_digit_is_not(
    body: bytes, secret: str, position: int
) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    header = sign(body, secret)
    digit = header[7 + position]
    changed = header[: 7 + position] + ("0" if digit != "0" else "1") + header[8 + position :]

    assert is_signed(body, header, [secret])
    assert not is_signed(body, changed, [secret])


@pytest.mark.parametrize(
    "header, answer", [(None, False), ("", False), ("\ud800", False), (GOOD[:-1], False), (GOOD, True)]
)
def test_what_cannot_be_a_signature_is_known_before_a_body_is_read(header: str | None, answer: bool) -> None:
    assert has_form(header) is answer


def test_the_proof_of_the_app_secret_is_the_hmac_of_the_token() -> None:
    assert appsecret_proof("token", "secret") == hmac.new(b"secret", b"token", "sha256").hexdigest()
