"""What a caller may fill a template with. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from shared.messages import HeaderDocument, Location, Media, Outgoing, Part, broken, words


class Currency(Part):
    """An amount in thousandths."""

    fallback_value: Annotated[str, words(1024)]
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    amount_1000: Annotated[int, Field(ge=-(2**31), lt=2**31)]


class DateTime(Part):
    """A moment in words; Meta shows them as they are."""

    fallback_value: Annotated[str, words(1024)]


ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,256}$")]


class TextParameter(Part):
    """Words in the place of a variable, by position or by name."""

    type: Literal["text"]
    text: Annotated[str, words(32768)]
    parameter_name: ParameterName | None = None


class CurrencyParameter(Part):
    """An amount in the place of a variable."""

    type: Literal["currency"]
    currency: Currency
    parameter_name: ParameterName | None = None


class DateTimeParameter(Part):
    """A moment in the place of a variable."""

    type: Literal["date_time"]
    date_time: DateTime
    parameter_name: ParameterName | None = None


class ImageParameter(Part):
    """The picture of a template's header."""

    type: Literal["image"]
    image: Media


class VideoParameter(Part):
    """The film of a template's header."""

    type: Literal["video"]
    video: Media


class DocumentParameter(Part):
    """The file of a template's header."""

    type: Literal["document"]
    document: HeaderDocument


class LocationParameter(Part):
    """The place of a template's header."""

    type: Literal["location"]
    location: Location

    def to_meta(self) -> dict[str, Any]:
        """Let the place write itself."""
        return {"type": "location", "location": self.location.to_meta()}


class ProductParameter(Part):
    """The product of a template's header."""

    type: Literal["product"]
    product: dict[str, Any]


BodyParameter = Annotated[TextParameter | CurrencyParameter | DateTimeParameter, Field(discriminator="type")]
HeaderParameter = Annotated[
    TextParameter
    | CurrencyParameter
    | DateTimeParameter
    | ImageParameter
    | VideoParameter
    | DocumentParameter
    | LocationParameter
    | ProductParameter,
    Field(discriminator="type"),
]


class HeaderComponent(Part):
    """What a template's header is filled with."""

    type: Literal["header"]
    parameters: list[HeaderParameter] = Field(min_length=1, max_length=1)

    def to_meta(self) -> dict[str, Any]:
        """Let each parameter write itself."""
        return {"type": "header", "parameters": [parameter.to_meta() for parameter in self.parameters]}


class BodyComponent(Part):
    """What a template's body is filled with: all by position, or all by name."""

    type: Literal["body"]
    parameters: list[BodyParameter] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        named = [parameter.parameter_name for parameter in self.parameters if parameter.parameter_name]
        if named and len(named) < len(self.parameters):
            raise broken("parameter_name", "Name every parameter of the body, or none.")
        if len(set(named)) < len(named):
            raise broken("unique", "Two parameters of the body have the same name.")
        return self


ButtonIndex = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    StringConstraints(pattern=r"^[0-9]$"),
]


class PayloadParameter(Part):
    """What a quick reply answers with."""

    type: Literal["payload"]
    payload: Annotated[str, words(256)]


class UrlSuffixParameter(Part):
    """What is put behind a button's address, or the code of an authentication template."""

    type: Literal["text"]
    text: Annotated[str, words(2000)]


class CouponParameter(Part):
    """The code that a button copies."""

    type: Literal["coupon_code"]
    coupon_code: Annotated[str, words(15)]


class ActionParameter(Part):
    """What a flow or a catalog begins with."""

    type: Literal["action"]
    action: dict[str, Any]


ButtonParameter = Annotated[
    PayloadParameter | UrlSuffixParameter | CouponParameter | ActionParameter, Field(discriminator="type")
]


class ButtonComponent(Part):
    """What one of a template's buttons is filled with."""

    type: Literal["button"]
    sub_type: Literal["quick_reply", "url", "copy_code", "flow", "catalog", "mpm", "voice_call"]
    index: ButtonIndex
    parameters: list[ButtonParameter] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        fitting = {
            "quick_reply": "payload",
            "voice_call": "payload",
            "url": "text",
            "copy_code": "coupon_code",
        }
        if any(parameter.type != fitting.get(self.sub_type, "action") for parameter in self.parameters):
            raise broken("parameter_type", "This button takes another type of parameter.")
        return self


class OfferExpiry(Part):
    """When an offer ends, in milliseconds since 1970."""

    expiration_time_ms: int


class OfferParameter(Part):
    """How long an offer lasts."""

    type: Literal["limited_time_offer"]
    limited_time_offer: OfferExpiry


class OfferComponent(Part):
    """The countdown of a template."""

    type: Literal["limited_time_offer"]
    parameters: list[OfferParameter] = Field(min_length=1, max_length=1)


class Card(Part):
    """One card of a carousel."""

    card_index: int = Field(ge=0, le=9)
    components: list[
        Annotated[HeaderComponent | BodyComponent | ButtonComponent, Field(discriminator="type")]
    ] = Field(min_length=1)

    def to_meta(self) -> dict[str, Any]:
        """Let each component write itself."""
        return {"card_index": self.card_index, "components": [part.to_meta() for part in self.components]}


class CarouselComponent(Part):
    """The cards of a template."""

    type: Literal["carousel"]
    cards: list[Card] = Field(min_length=2, max_length=10)

    def to_meta(self) -> dict[str, Any]:
        """Let each card write itself."""
        return {"type": "carousel", "cards": [card.to_meta() for card in self.cards]}


class Language(Part):
    """A template's language."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")]
    # The only policy that Meta has left; its schema asks for it.
    policy: Literal["deterministic"] = "deterministic"


class Template(Part):
    """An approved template and what it is filled with."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[
        Language, BeforeValidator(lambda value: {"code": value} if isinstance(value, str) else value)
    ]
    components: (
        list[
            Annotated[
                HeaderComponent | BodyComponent | ButtonComponent | OfferComponent | CarouselComponent,
                Field(discriminator="type"),
            ]
        ]
        | None
    ) = Field(default=None, max_length=20)

    def to_meta(self) -> dict[str, Any]:
        """Let each component write itself."""
        shown: dict[str, Any] = {"name": self.name, "language": self.language.to_meta()}
        if self.components:
            shown["components"] = [component.to_meta() for component in self.components]
        return shown


class TemplateMessage(Outgoing):
    """An approved template: the only type that may go out after the window has closed."""

    kind: ClassVar[str] = "template"
    type: Literal["template"]
    template: Template
