"""Standard Webhooks: what is signed, with which secrets, and how long it is tried."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from shared.outbound_events import (
    MOST_ATTEMPTS,
    NotASecret,
    is_taken,
    new_secret,
    pause_after,
    read_secret,
    sign,
    to_body,
)

# The reference libraries' own example: https://github.com/standard-webhooks/standard-webhooks
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'


def test_the_example_of_the_reference_libraries_is_signed_as_they_sign_it() -> None:
    headers = sign(MESSAGE_ID, TIMESTAMP, BODY, [SECRET])

    assert headers == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_a_secret_is_rotated_either_proves_it() -> None:
    newer = new_secret()

    signatures = sign(MESSAGE_ID, TIMESTAMP, BODY, [newer, SECRET])["webhook-signature"].split(" ")

    for secret, signature in zip((newer, SECRET), signatures, strict=True):
        signed = f"{MESSAGE_ID}.{TIMESTAMP}.".encode() + BODY
        digest = hmac.new(read_secret(secret), signed, hashlib.sha256).digest()
        assert signature == "v1," + base64.b64encode(digest).decode()


def test_an_id_with_a_full_stop_would_make_two_texts_look_alike() -> None:
    with pytest.raises(ValueError, match="full stop"):
        sign("a.b", TIMESTAMP, BODY, [SECRET])


def test_a_new_secret_is_one() -> None:
    assert len(read_secret(new_secret())) == 32
    assert new_secret() != new_secret()


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"]
)
def test_what_is_no_secret_signs_nothing(text: str) -> None:
    with pytest.raises(NotASecret):
        read_secret(text)


def test_it_is_tried_for_three_days() -> None:
    pauses = [pause_after(attempt) for attempt in range(1, MOST_ATTEMPTS)]

    assert pauses[0] == 5
    assert pauses == sorted(pauses, key=lambda pause: pause or 0)
    assert 71 * 3600 < sum(pause or 0 for pause in pauses) < 73 * 3600
    assert pause_after(MOST_ATTEMPTS) is None


@pytest.mark.parametrize(
    "status, expected", [(200, True), (204, True), (302, False), (410, False), (500, False)]
)
def test_only_a_success_means_that_it_was_taken(status: int, *, expected: bool) -> None:
    assert is_taken(status) is expected


def test_an_event_says_what_and_when() -> None:
    body = to_body("message.received", "2026-11-24T12:00:00+00:00", {"text": "¡Hola!"})

    assert body.decode() == (
        '{"type":"message.received","timestamp":"2026-11-24T12:00:00+00:00","data":{"text":"¡Hola!"}}'
    )
