"""What Meta can say to a connection has a guided answer, and once it has passed the same call goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import (
    META_API,
    OAUTH,
    Typed,
    code_of,
    connect_number,
    new_business,
    new_number,
    paste,
    request_code,
    sent_code,
    status,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.world import Organization, Simulator, User


@pytest.fixture
def owner(new_organization: Callable[..., Organization]) -> User:
    return new_organization().owner


@pytest.fixture(autouse=True)
def no_fault_stays(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.client.delete("/faults")


def fail(simulator: Simulator, edge: str, code: int, **fields: Any) -> None:
    simulator.post("/faults", edge=edge, code=code, times=1, **fields)


def guided(answer: httpx.Response, code: str, *words: str) -> None:
    """Check an answer's code, and that its Spanish sentence tells what to do."""
    assert code_of(answer) == code, answer.text
    message = answer.json()["error"]["message"]
    assert all(word in message for word in words), message


SPANISH = {"accept-language": "es"}

# Code of Meta's at `register`, our code, and a word of the guide.
REGISTERING = {
    131031: ("account_restricted", "cuenta"),
    133005: ("pin_required", "PIN"),
    133006: ("verification_required", "código"),
    133008: ("number_not_ready", "PIN"),
    133015: ("number_not_ready", "minutos"),
    133016: ("number_not_ready", "72 horas"),
}


@pytest.mark.parametrize("code", REGISTERING)
def test_a_refused_registration_is_told_and_continues_later(
    owner: User, simulator: Simulator, code: int
) -> None:
    number, (ours, word) = new_number(), REGISTERING[code]
    request_code(owner, number).raise_for_status()
    entered = {"code": sent_code(simulator, number)}
    fail(simulator, "register", code)

    refused = owner.functions.post(f"{OAUTH}/verify-code", json=entered, headers=SPANISH)
    waiting = status(owner)
    again = verify(owner, entered["code"])

    guided(refused, ours, word)
    assert (waiting["status"], waiting["error_code"]) == ("pending", ours)
    assert again.status_code == 200, again.text
    assert again.json()["integration"]["status"] == "connected"
    assert again.json()["integration"]["error_code"] is None


def test_a_code_that_meta_does_not_send_now_is_told(owner: User, simulator: Simulator) -> None:
    number = new_number()
    fail(simulator, "request_code", 136024, subcode=2388091)

    refused = owner.functions.post(
        f"{OAUTH}/request-code", json={"phone_number": number.e164}, headers=SPANISH
    )
    # Nothing was sent: nobody need wait.
    again = request_code(owner, number)

    guided(refused, "number_not_ready", "código")
    assert again.status_code == 200, again.text


def test_a_wrong_code_is_told_by_either_of_metas_codes(owner: User, simulator: Simulator) -> None:
    number = new_number()
    request_code(owner, number).raise_for_status()
    code = sent_code(simulator, number)
    fail(simulator, "verify_code", 136025, subcode=2388093)

    refused = verify(owner, code)
    again = verify(owner, code)

    guided(refused, "wrong_code")
    assert again.status_code == 200, again.text


def test_a_number_that_is_on_another_account_is_told(owner: User, simulator: Simulator) -> None:
    taken = new_business(simulator)

    refused = owner.functions.post(
        f"{OAUTH}/request-code", json={"phone_number": f"+{taken.phone_number}"}, headers=SPANISH
    )

    guided(refused, "number_on_whatsapp", "ya está")
    assert refused.status_code == 409


def test_an_unregistered_number_is_told(owner: User, simulator: Simulator) -> None:
    connect_number(owner, simulator)
    fail(simulator, "deregister", 133010)

    refused = owner.functions.post(f"{META_API}/deregister", json={}, headers=SPANISH)

    guided(refused, "number_not_ready", "registrado")


def test_a_webhook_that_meta_cannot_verify_is_told(owner: User, simulator: Simulator) -> None:
    business = new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()
    fail(simulator, "node", 2200, method="POST", object_id=business.phone_number_id)

    refused = owner.functions.post(
        f"{META_API}/webhook-subscription", json={"callback": "override"}, headers=SPANISH
    )

    guided(refused, "webhook_unverified", "webhook")


def test_a_code_of_the_dialog_that_was_used_is_told(owner: User, simulator: Simulator) -> None:
    done = simulator.post("/signups", phone_number=new_number().digits)
    state = owner.functions.post(f"{OAUTH}/start", json={}).json()["state"]
    fail(simulator, "oauth/access_token", 100, subcode=36009)

    refused = owner.functions.post(
        f"{OAUTH}/exchange", json={"state": state, "code": done["code"]}, headers=SPANISH
    )

    guided(refused, "dialog_code_spent", "Abre de nuevo")


def test_a_code_that_is_too_old_is_told(owner: User, database: Any, simulator: Simulator) -> None:
    number = new_number()
    request_code(owner, number).raise_for_status()
    database.execute(
        "update whatsapp_verifications set expires_at = now() where phone_number = %s", (number.e164,)
    )

    refused = owner.functions.post(
        f"{OAUTH}/verify-code", json={"code": sent_code(simulator, number)}, headers=SPANISH
    )

    guided(refused, "code_expired", "Pide uno nuevo")


@pytest.mark.parametrize("code", [2, 4, 131016])
def test_when_meta_is_busy_the_same_call_works_a_little_later(
    owner: User, simulator: Simulator, code: int
) -> None:
    number = new_number()
    request_code(owner, number).raise_for_status()
    entered = sent_code(simulator, number)
    fail(simulator, "register", code)

    refused = verify(owner, entered)
    again = verify(owner, entered)

    assert refused.json()["error"]["retryable"] is True
    assert again.status_code == 200, again.text


def test_an_answer_that_is_lost_is_found_again(owner: User, simulator: Simulator) -> None:
    number = Typed(digits=new_number().digits)
    request_code(owner, number).raise_for_status()
    entered = sent_code(simulator, number)
    simulator.post("/faults", edge="verify_code", cut="after", times=1)

    lost = verify(owner, entered)
    again = verify(owner, entered)

    assert code_of(lost) == "outcome_unknown"
    assert again.status_code == 200, again.text
