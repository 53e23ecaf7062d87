"""What a caller may send of people: contact cards. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from shared.messages import Outgoing, Part, Url, words


class ContactName(Part):
    """What a contact is called."""

    formatted_name: Annotated[str, words(512)]
    first_name: Annotated[str, words(512)] | None = None
    last_name: Annotated[str, words(512)] | None = None
    middle_name: Annotated[str, words(512)] | None = None
    prefix: Annotated[str, words(512)] | None = None
    suffix: Annotated[str, words(512)] | None = None

    def to_meta(self) -> dict[str, Any]:
        """Add the second part of a name that Meta asks for beside the whole."""
        name = super().to_meta()
        return name if len(name) > 1 else {**name, "first_name": self.formatted_name}


Kind = Literal["HOME", "WORK"]


class ContactPhone(Part):
    """A number of a contact."""

    phone: Annotated[str, words(64)]
    type: Kind | None = None
    wa_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{5,20}$")] | None = None


class ContactEmail(Part):
    """An e-mail address of a contact."""

    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
    type: Kind | None = None


class ContactUrl(Part):
    """A page of a contact."""

    url: Url
    type: Kind | None = None


class ContactAddress(Part):
    """Where a contact lives or works."""

    street: Annotated[str, words(512)] | None = None
    city: Annotated[str, words(512)] | None = None
    state: Annotated[str, words(512)] | None = None
    zip: Annotated[str, words(64)] | None = None
    country: Annotated[str, words(512)] | None = None
    country_code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$")] | None = None
    type: Kind | None = None


class ContactOrganization(Part):
    """Where a contact works, and as what."""

    company: Annotated[str, words(512)] | None = None
    department: Annotated[str, words(512)] | None = None
    title: Annotated[str, words(512)] | None = None


class ContactCard(Part):
    """A person, to be saved in the other's phone."""

    name: ContactName
    phones: list[ContactPhone] | None = Field(default=None, max_length=20)
    emails: list[ContactEmail] | None = Field(default=None, max_length=20)
    urls: list[ContactUrl] | None = Field(default=None, max_length=20)
    addresses: list[ContactAddress] | None = Field(default=None, max_length=20)
    org: ContactOrganization | None = None
    birthday: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None

    def to_meta(self) -> dict[str, Any]:
        """Let the name write itself."""
        return {**super().to_meta(), "name": self.name.to_meta()}


class ContactsMessage(Outgoing):
    """People."""

    kind: ClassVar[str] = "contacts"
    type: Literal["contacts"]
    contacts: list[ContactCard] = Field(min_length=1, max_length=5)

    def to_content(self) -> dict[str, Any]:
        """Let each card write itself."""
        return {"contacts": [card.to_meta() for card in self.contacts]}
