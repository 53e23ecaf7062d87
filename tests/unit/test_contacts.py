"""Who a message is from: canonical phone numbers and the `contacts` block."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.contacts import ContactBook, aliases_of, canonical_phone, make_contact, phone_digits
from tests import wire

BRAZIL_AREAS = sorted(
    area
    for area in map(str, range(11, 100))
    if phonenumbers.is_valid_number(phonenumbers.parse(f"+55{area}991234567"))
)
ARGENTINA_AREAS = [
    "11",
    "221",
    "223",
    "261",
    "341",
    "351",
    "381",
    "387",
    "2202",
    "2901",
    "2966",
    "3541",
    "3731",
]


@pytest.mark.parametrize(
    "written, canonical",
    [
        # Brazil: mobiles get their ninth digit
        ("551190000001", "5511990000001"),
        ("558580000001", "5585980000001"),
        ("559960000001", "5599960000001"),
        ("5511990000001", "5511990000001"),
        # … landlines and what is no Brazilian number stay as they are
        ("551130000001", "551130000001"),
        ("551120000001", "551120000001"),
        ("551150000001", "551150000001"),
        ("552090000001", "552090000001"),
        ("55119000001", "55119000001"),
        ("55119900000001", "55119900000001"),
        # Mexico: the mobile 1 of before 2019 goes
        ("5215500000001", "525500000001"),
        ("525500000001", "525500000001"),
        ("52155000000001", "52155000000001"),
        ("521550000001", "521550000001"),
        # Argentina: the mobile 9 and the domestic 15 go
        ("5491100000001", "541100000001"),
        ("541100000001", "541100000001"),
        ("54111500000001", "541100000001"),
        ("549111500000001", "541100000001"),
        ("5493510000001", "543510000001"),
        ("54351150000001", "543510000001"),
        ("54290115000001", "542901000001"),
        # … a subscriber number that begins with 15 is none
        ("541115000001", "541115000001"),
        ("5491115000001", "541115000001"),
        ("54900000001", "54900000001"),
        # Everybody else
        ("51900000001", "51900000001"),
        ("15550100001", "15550100001"),
        ("447700900001", "447700900001"),
        ("5491", "5491"),
        ("55", "55"),
        ("", ""),
        ("no number", "no number"),
        ("٥٥١١٩١٢٣٤٥٦٧", "٥٥١١٩١٢٣٤٥٦٧"),
    ],
)
def test_a_number_has_one_canonical_spelling(written: str, canonical: str) -> None:
    """The rules, each with the numbers next to it that they must leave alone."""
    assert canonical_phone(written) == canonical


@given(area=st.sampled_from(BRAZIL_AREAS), rest=st.from_regex(r"[6-9][0-9]{7}", fullmatch=True))
def test_brazils_old_and_new_mobile_spellings_are_one_and_valid(area: str, rest: str) -> None:
    """For every area code that phonenumbers knows, the ninth digit makes a valid mobile number."""
    new = f"55{area}9{rest}"
    assert canonical_phone(f"55{area}{rest}") == canonical_phone(new) == new
    assert phonenumbers.is_valid_number(phonenumbers.parse(f"+{new}"))


@given(area=st.sampled_from(BRAZIL_AREAS), rest=st.from_regex(r"[2-5][0-9]{7}", fullmatch=True))
def test_brazils_landlines_are_left_alone(area: str, rest: str) -> None:
    """A landline with a 9 in front would be a stranger's mobile."""
    assert canonical_phone(f"55{area}{rest}") == f"55{area}{rest}"


@given(area=st.sampled_from(ARGENTINA_AREAS), digits=st.from_regex(r"[2-9][0-9]{7}", fullmatch=True))
def test_argentinas_spellings_are_the_one_number_that_phonenumbers_sees(area: str, digits: str) -> None:
    """54, 549, and the domestic 15 behind any area code mean the same subscriber."""
    subscriber = digits[: 10 - len(area)]
    spellings = [
        f"54{area}{subscriber}",
        f"549{area}{subscriber}",
        f"54{area}15{subscriber}",
        f"549{area}15{subscriber}",
    ]
    domestic = phonenumbers.parse(f"0{area}15{subscriber}", "AR")
    if phonenumbers.is_valid_number(domestic):
        assert f"54{domestic.national_number}" == spellings[1]
    assert {canonical_phone(spelling) for spelling in spellings} == {spellings[0]}


@given(st.from_regex(r"[1-9][0-9]{4,14}", fullmatch=True))
@example("549111500000001")
@example("551199000001")
def test_canonical_is_final_and_keeps_country_and_subscriber(digits: str) -> None:
    """Applying the rules twice changes nothing, and they add or drop at most a 9, a 1 or a 15."""
    once = canonical_phone(digits)
    assert canonical_phone(once) == once
    assert once[:2] == digits[:2]
    assert once[-6:] == digits[-6:]
    assert abs(len(once) - len(digits)) <= 3


@pytest.mark.parametrize(
    "value, digits",
    [
        ("15550100001", "15550100001"),
        ("+1 (555) 010-0001", "15550100001"),
        (15550100002, "15550100002"),
        (15550100001.0, "15550100001"),
        (" 15550100001 ", "15550100001"),
        ("", None),
        ("   ", None),
        ("US.13491208655302741918", None),
        ("1234", None),
        ("1" * 16, None),
        ("٥٥١١٩١٢٣٤٥٦٧", None),
        ("²5550100001", None),
        (True, None),
        (None, None),
        (["15550100001"], None),
        (1.5, None),
    ],
)
def test_a_phone_number_is_read_however_it_is_written(value: object, digits: str | None) -> None:
    """Numbers, punctuation and blanks are read; what is no phone number is none."""
    assert phone_digits(value) == digits


def test_a_contact_carries_every_alias_with_the_phone_first() -> None:
    """The store finds a person by any of them."""
    contact = make_contact(
        wa_id="5215500000001", bsuid="MX.1", parent_bsuid="MX.ENT.2", username="@ana", name=" Ana "
    )
    assert contact == {
        "aliases": ["phone:525500000001", "bsuid:MX.1"],
        "wa_id": "5215500000001",
        "phone_number": "+5215500000001",
        "bsuid": "MX.1",
        "parent_bsuid": "MX.ENT.2",
        "username": "ana",
        "name": "Ana",
    }


@pytest.mark.parametrize(
    "wa_id, bsuid, parent, aliases",
    [
        (None, "MX.1", None, ["bsuid:MX.1"]),
        ("MX.1", None, None, ["bsuid:MX.1"]),
        (None, None, "MX.ENT.2", ["bsuid:MX.ENT.2"]),
        ("user.93737", None, None, ["bsuid:user.93737"]),
        ("something new", "MX.1", None, ["bsuid:MX.1"]),
        ("15550100001", "MX.1", "MX.ENT.2", ["phone:15550100001", "bsuid:MX.1"]),
        ("", "", "", []),
        ("x" * 300, None, None, []),
        ({}, [], False, []),
    ],
)
def test_whatever_identifies_a_person_is_an_alias(
    wa_id: object, bsuid: object, parent: object, aliases: list[str]
) -> None:
    """A missing phone number is normal; nothing at all is nobody."""
    contact = make_contact(wa_id=wa_id, bsuid=bsuid, parent_bsuid=parent)
    assert aliases_of(contact) == aliases
    assert (contact is None) == (not aliases)


@pytest.mark.parametrize(
    "sender, block, people, name",
    [
        ({"wa_id": "15550100001"}, [wire.contact("15550100001", name="Ana")], 2, "Ana"),
        ({"wa_id": "551190000001"}, [wire.contact("5511990000001", name="Ana")], 2, "Ana"),
        ({"wa_id": "15550100001"}, [wire.contact(15550100001, name="Ana")], 2, "Ana"),  # type: ignore[arg-type]
        (
            {"bsuid": "MX.1"},
            [wire.contact(None, bsuid="MX.2"), wire.contact(None, bsuid="MX.1", name="Ana")],
            2,
            "Ana",
        ),
        ({"wa_id": "15550100001"}, [wire.contact(None, bsuid="MX.1", name="Ana")], 1, "Ana"),
        ({"wa_id": "15550100001"}, [wire.contact(None, bsuid="MX.1", name="Ana")], 2, None),
        ({"wa_id": "15550100001"}, [wire.contact("15550100002", name="Eva")], 1, None),
        ({"bsuid": "MX.1"}, [wire.contact(None, bsuid="MX.2", name="Eva")], 1, None),
        ({"wa_id": "15550100001"}, [wire.contact("15550100001", name=None)], 1, None),
        ({"wa_id": "15550100001"}, [{"wa_id": "15550100001"}], 1, None),
        ({"wa_id": "15550100001"}, ["nonsense", None, 7], 1, None),
        ({"wa_id": "15550100001"}, [{"profile": {"name": "Ana"}}], 1, "Ana"),
        ({"wa_id": "15550100001"}, [], 1, None),
        (
            {"wa_id": "15550100001"},
            [wire.contact("15550100001", name="Ana"), {"wa_id": "15550100001"}],
            1,
            "Ana",
        ),
    ],
)
def test_a_name_is_taken_from_the_entry_that_speaks_of_the_sender(
    sender: dict[str, str], block: list[object], people: int, name: str | None
) -> None:
    """By phone, else by BSUID, else by position unless that contradicts: no stranger's name is borrowed."""
    contact = ContactBook(block, people=people).complete(make_contact(**sender))
    assert contact is not None
    assert contact["name"] == name


def test_an_entry_adds_the_ids_that_the_message_lacks() -> None:
    """Phone and BSUID of one entry are one person, whichever of them the message names."""
    book = ContactBook([wire.contact("15550100001", bsuid="MX.1", username="@ana")], people=1)
    contact = book.complete(make_contact(bsuid="MX.1"))
    assert contact is not None
    assert contact["aliases"] == ["phone:15550100001", "bsuid:MX.1"]
    assert contact["username"] == "ana"


def test_the_message_s_own_ids_win_over_the_entry_s() -> None:
    """The entry was found by phone; its other id may be stale."""
    book = ContactBook([wire.contact("15550100001", bsuid="MX.OLD")], people=1)
    contact = book.complete(make_contact(wa_id="15550100001", bsuid="MX.NEW"))
    assert aliases_of(contact) == ["phone:15550100001", "bsuid:MX.NEW"]


def test_an_entry_alone_names_the_sender() -> None:
    """Where a message says nothing of who wrote it, the only entry does."""
    book = ContactBook([wire.contact("15550100001", name="Ana")], people=1)
    assert aliases_of(book.complete(None)) == ["phone:15550100001"]
    assert aliases_of(ContactBook([{"profile": {"name": "Ana"}}], people=1).complete(None)) == []


@pytest.mark.parametrize("block", [["nonsense"], [7], [None], [[]]], ids=repr)
def test_an_entry_that_is_no_object_is_told(block: list[object]) -> None:
    """Even when it is the only one."""
    book = ContactBook(block, people=1)
    book.complete(make_contact(wa_id="15550100001"))
    assert book.unused() == block


def test_entries_that_nobody_asked_for_are_told() -> None:
    """They are kept as a problem, not lost."""
    stranger = wire.contact("15550100002")
    book = ContactBook([wire.contact("15550100001"), stranger], people=0)
    book.complete(make_contact(wa_id="15550100001"))
    assert book.unused() == [stranger]


def test_all_entries_of_one_person_are_used_at_once() -> None:
    """However many there are; each message looks at one of them."""
    nameless: object = {"wa_id": "15550100001"}
    same = [wire.contact("15550100001", name="Ana"), wire.contact("15550100001", name="Ana María"), nameless]
    stranger = wire.contact(None, bsuid="MX.2")
    both = wire.contact("15550100001", bsuid="MX.2", name="Ana María")
    book = ContactBook([*same, stranger, both], people=0)
    contact = book.complete(make_contact(wa_id="15550100001"))
    assert contact is not None
    assert contact["name"] == "Ana María"
    assert book.unused() == [stranger]
    book.complete(make_contact(bsuid="MX.2"))
    assert book.unused() == []
