"""Recorded and documented exchanges with Graph, asked again of the simulator, and compared.

Each exchange is a file with `request` and `response`. Before it is asked again, the simulator is brought to
the state in which it was answered. What is compared: status, headers, the body's keys in their order, its
values, and the escapes of its text; ids, times and traces are masked.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx

from local.graph import Clock, Settings, Simulator, create_simulator, wire
from local.graph.edges.dialog import issue_code
from local.graph.faults import Fault
from local.graph.state import App, Media, Message, Number, Template, Token, Waba
from tests.evidence import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WABA, NUMBER, APP, TOKEN = "114503234599312", "107878721936019", "634974688087057", "EAAReplayToken"
SECRET = "0123456789abcdef0123456789abcdef"
CALLBACK = "https://receiver.test/webhook"

_MASKS: tuple[tuple[str, str], ...] = (
    (r"wamid\.[A-Za-z0-9+/=\\]+", "wamid.*"),
    (r'"fbtrace_id":"[^"]*"', '"fbtrace_id":"*"'),
    (r'"(before|after)":"[^"]*"', r'"\1":"*"'),
    (r'"next":"[^"]*"', '"next":"*"'),
    (r'"id":"\d+"', '"id":"*"'),
    (r'"id":"<[A-Z_]+>"', '"id":"*"'),
    (r'"url":"[^"]*"', '"url":"*"'),
    (r'"(access_token|request_id|h)":"[^"]*"', r'"\1":"*"'),
    (r'"expires_in":\d+', '"expires_in":*'),
    (r"(Session has expired on )[^.\"]*\.( The current time is [^\"]*)?", r"\1*."),
    (r'"(issued_at|data_access_expires_at)":\d+', r'"\1":*'),
)
_HEADERS = (
    "content-type",
    "facebook-api-version",
    "x-ad-api-version-warning",
    "cache-control",
    "www-authenticate",
)
_PRESENT = ("etag", "x-fb-request-id", "x-fb-trace-id", "x-fb-rev", "x-app-usage", "debug-link", "error-mid")


@dataclass
class Exchange:
    """One file of the corpus."""

    name: str
    kind: str
    note: str
    method: str
    path: str
    query: str
    content_type: str
    request_body: Any
    status: int
    headers: dict[str, str]
    body: Any
    raw: str | None

    @classmethod
    def from_file(cls, path: Path) -> Exchange:
        kept = json.loads(path.read_text())
        asked, answered = kept["request"], kept["response"]
        return cls(
            name=path.stem,
            kind=kept["_meta"]["kind"],
            note=kept["_meta"].get("note", ""),
            method=asked["method"],
            path=asked["path"],
            query=asked.get("query", ""),
            content_type=asked.get("content_type", ""),
            request_body=asked.get("body"),
            status=answered["status"],
            headers={name.lower(): value for name, value in answered.get("headers", {}).items()},
            body=answered.get("body"),
            raw=answered.get("raw_body"),
        )

    @property
    def recorded_at(self) -> float:
        """Return when it was recorded, or now."""
        if not self.note.startswith("recorded "):
            return time.time()
        return parsedate_to_datetime(self.note.removeprefix("recorded ")).timestamp()


def exchanges() -> list[Exchange]:
    """Return the exchanges of the corpus, none where it is absent."""
    return [Exchange.from_file(path) for path in sorted(EXCHANGES.glob("*.json"))]


@dataclass
class World:
    """The simulator, brought to the state of an exchange, and the call that asks it again."""

    exchange: Exchange
    simulator: Simulator
    app: App
    waba: Waba
    number: Number
    token: Token
    path: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    json: Any = None
    files: Any = None
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    repeat: int = 0
    """How many times the call is made before the one that is compared."""

    def set_number(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.number, name, value)

    def fault(self, **values: Any) -> None:
        self.simulator.faults.add(Fault(id="replay", **values))

    def template(self, **values: Any) -> Template:
        known = {
            "waba_id": self.waba.id,
            "language": "en_US",
            "category": "MARKETING",
            "status": "APPROVED",
            "components": [{"type": "BODY", "text": "Hola"}],
            "id": self.simulator.ids.object_id(),
        }
        template = Template(**{**known, **values})
        self.simulator.state.templates[template.id] = template
        return template


def build(exchange: Exchange) -> World:
    """Make the world of an exchange."""
    receiver = httpx.MockTransport(
        lambda request: httpx.Response(200, text=request.url.params.get("hub.challenge", ""))
    )
    simulator = Simulator(seed=1, settings=Settings(), clock=Clock(exchange.recorded_at), transport=receiver)
    simulator.base_url = "https://lookaside.fbsbx.com"
    if "facebook-api-version" in exchange.headers:
        simulator.settings.oldest_version = exchange.headers["facebook-api-version"]
    app = simulator.set_platform_app(APP, SECRET, "verify-me", CALLBACK)
    app.name = "Lucky Shrub"
    waba_id = _usage_waba(exchange) or WABA
    waba = simulator.create_waba(id=waba_id, name="Test Business Account", timezone_id="138")
    simulator.state.templates.clear()
    number_id = exchange.path.split("/")[2] if re.match(r"/v19\.0/(107|562)\d+", exchange.path) else NUMBER
    number = simulator.create_number(
        id=number_id, waba_id=waba.id, phone_number="15550934873", verified_name="Test Number"
    )
    token = simulator.create_token(value=TOKEN, waba_ids=None)
    world = World(exchange, simulator, app, waba, number, token)
    _ask(world)
    prepare = PREPARATIONS.get(exchange.name)
    if prepare is not None:
        prepare(world)
    return world


def _usage_waba(exchange: Exchange) -> str | None:
    found = re.match(r'\{"(\d+)"', exchange.headers.get("x-business-use-case-usage", ""))
    return found.group(1) if found else None


def _ask(world: World) -> None:
    """Take the call from the exchange."""
    exchange = world.exchange
    path = re.sub(r"\{phone-number-id\}", world.number.id, exchange.path, flags=re.IGNORECASE)
    world.path = re.sub(r"\{waba-id\}", world.waba.id, path, flags=re.IGNORECASE)
    if exchange.query and ".." not in exchange.query and "<" not in exchange.query:
        world.params = {
            name: values[0] for name, values in parse_qs(exchange.query, keep_blank_values=True).items()
        }
    world.headers = {"Authorization": f"Bearer {TOKEN}"}
    body = exchange.request_body
    if exchange.content_type.startswith("multipart"):
        world.data = {"messaging_product": "whatsapp", "type": "image/png"}
        world.files = {"file": ("whatsapp.png", b"\x89PNG", "image/png")}
    elif exchange.content_type.startswith("application/x-www-form-urlencoded"):
        world.data = parse_qs(body or "") or None
    elif body is not None:
        world.json = body


async def ask(world: World) -> httpx.Response:
    """Make the call, after the repetitions that the state needs."""
    transport = httpx.ASGITransport(app=create_simulator(world.simulator))
    async with httpx.AsyncClient(transport=transport, base_url="https://graph.facebook.com") as client:
        answers = [
            await client.request(
                world.exchange.method,
                world.path,
                params=world.params,
                json=world.json,
                data=world.data,
                files=world.files,
                headers=world.headers,
            )
            for _ in range(world.repeat + 1)
        ]
    await world.simulator.close()
    return answers[-1]


def differences(exchange: Exchange, answer: httpx.Response) -> list[str]:
    """Return how an answer differs from the exchange, as sentences; none if they agree."""
    found = []
    if answer.status_code != exchange.status:
        found.append(f"status {answer.status_code} instead of {exchange.status}")
    found += _header_differences(exchange, answer)
    if not isinstance(exchange.body, dict | list):
        return found
    expected = exchange.raw or wire.to_answer(exchange.body).decode()
    if mask(answer.text) != mask(expected):
        found.append(f"body {mask(answer.text)[:600]} instead of {mask(expected)[:600]}")
    return found


def _header_differences(exchange: Exchange, answer: httpx.Response) -> list[str]:
    found = []
    for name in _HEADERS:
        expected = exchange.headers.get(name)
        if exchange.headers and answer.headers.get(name) != expected:
            found.append(f"header {name}: {answer.headers.get(name)!r} instead of {expected!r}")
    found += [
        f"header {name} is missing"
        for name in _PRESENT
        if name in exchange.headers and name not in answer.headers
    ]
    usage = exchange.headers.get("x-business-use-case-usage")
    if usage is not None:
        ours = answer.headers.get("x-business-use-case-usage", "")
        if re.sub(r":\d+", ":0", ours) != re.sub(r":\d+", ":0", usage):
            found.append(f"usage {ours!r} instead of {usage!r}")
    return found


EXPLAINED = {
    "err_136024_2388091_request_code": "title and message for the user are in the token owner's language",
    "err_136025_2388093_verify_code_wrong": "as above",
    "oas_err_401_expired_token": "the documentation's text holds the dates; the example cuts them off",
    "oas_err_403_permission_200": "generated example; the words follow public reports: (#200) and no subcode",
    "oas_err_404_803": "never recorded: twelve recordings answer an unknown id with 400, 100/33",
    "oas_err_422_verify_code": "generated example; the recorded refusal of a code is 400, 136025/2388093",
    "oas_err_429_waba_80007": "generated example; elsewhere limits are 400, with a longer text",
    "oas_err_500_transient": "generated example: fbtrace_id stands before is_transient nowhere else",
    "oas_ok_message_history": "an edge whose public page is gone; the simulator does not have it",
    "oas_ok_phone_numbers_list": "generated example (status LINKED, username null)",
    "oas_ok_phone_settings": "calling settings: the simulator does not make calls",
    "oas_ok_subscribed_apps": "the documentation writes id, link, name; the generated example id, name, link",
    "oas_ok_subscribed_apps_post_custom_callback": 'the documentation answers {"success":true} alone',
    "oas_ok_verify_code": 'the documentation answers {"success":true} alone',
    "oas_ok_waba_node": "without `fields` Graph shows four fields; the example shows all",
    "ok_health_blocked_sip": "calling by SIP: the simulator does not make calls",
    "ok_media_get_docs_shape": "recordings put the URL first and the size as a number",
    "ok_phone_name_status": "recordings put an id that was not asked for last",
    "ok_phone_numbers_certificates": "the documentation's excerpt leaves paging out; recordings have it",
    "ok_phone_numbers_filter_sandbox": "an older default list of fields",
    "ok_subscribed_apps_with_override": "the documentation cuts the link off with dots",
    "ok_template_create_rejected_at_once": "the review rejects later here; recordings put id first",
    "ok_waba_phone_numbers_four_qualities": "an older default list of fields",
}
"""Where the simulator answers otherwise, and why ours is nearer to what is on the wire."""


def mask(text: str) -> str:
    """Replace ids, times and traces."""
    for pattern, replacement in _MASKS:
        text = re.sub(pattern, replacement, text)
    return text


# How each state is reached


def _show_number(world: World) -> None:
    body = world.exchange.body
    rows = body.get("data", [body])
    world.simulator.state.numbers.clear()
    for row in rows:
        values = {name: value for name, value in row.items() if name in Number.__dataclass_fields__}
        values.setdefault("phone_number", "15550934873")
        if "throughput" in row:
            values["throughput_level"] = row["throughput"]["level"]
        values.pop("last_onboarded_time", None)
        number = world.simulator.create_number(waba_id=world.waba.id, **values)
        number.last_onboarded_time = 1692731153.0 if "last_onboarded_time" in row else None
        world.waba.messaging_limit = row.get(
            "messaging_limit_tier", row.get("whatsapp_business_manager_messaging_limit", "TIER_250")
        )
        number.name_status = values.get("name_status", number.name_status)
    world.path = world.path.replace(world.number.id, rows[0]["id"]) if "data" not in body else world.path
    if "webhook_configuration" not in json.dumps(body):
        world.app.callback_url = None


def _show_override(world: World) -> None:
    _show_number(world)
    shown = world.exchange.body["webhook_configuration"]
    (number,) = world.simulator.state.numbers.values()
    world.app.callback_url = shown.get("application")
    if "phone_number" in shown:
        number.overrides[APP] = shown["phone_number"]
    world.waba.subscriptions[APP] = shown.get("whatsapp_business_account")


def _show_waba(world: World) -> None:
    for name, value in world.exchange.body.items():
        if name != "id":
            setattr(world.waba, name, value)


def _unregistered(world: World) -> None:
    world.set_number(status="DISCONNECTED")


def _health(world: World) -> None:
    world.set_number(name_status="PENDING_REVIEW" if "limited" in world.exchange.name else "APPROVED")
    world.app.callback_url = None


def _draft_template(world: World) -> None:
    template = world.template(name="x", status="PENDING")
    world.path = f"/{template.id}"


def _media(world: World) -> None:
    body = world.exchange.body if isinstance(world.exchange.body, dict) else {}
    media = Media(
        id=world.path.strip("/").split("/")[-1].replace("{media-id}", "1000000000000001"),
        waba_id=world.waba.id,
        number_id=world.number.id,
        mime_type=body.get("mime_type", "image/png"),
        content=b"x" * int(body.get("file_size", 1)) if str(body.get("file_size", 1)).isdigit() else b"x",
        sha256=body.get("sha256", "00" * 32),
        lives_until=world.simulator.clock.now() + 1000,
    )
    world.simulator.state.media[media.id] = media
    world.path = f"/{media.id}"


def _download(world: World) -> None:
    media = Media(
        id=world.params["mid"],
        waba_id=world.waba.id,
        number_id=world.number.id,
        mime_type="image/png",
        content=b"x",
        sha256="00" * 32,
        lives_until=world.simulator.clock.now() + 1000,
    )
    world.simulator.state.media[media.id] = media
    url = httpx.URL(world.simulator.media_url(media))
    world.params = dict(url.params)


def _sent_media(world: World) -> None:
    kind = world.json["type"]
    mime_types = {
        "audio": "audio/ogg",
        "video": "video/mp4",
        "document": "application/pdf",
        "sticker": "image/webp",
        "image": "image/png",
    }
    media = Media(
        id=world.json[kind]["id"],
        waba_id=world.waba.id,
        number_id=world.number.id,
        mime_type=mime_types[kind],
        content=b"x",
        sha256="00" * 32,
        lives_until=world.simulator.clock.now() + 1000,
    )
    world.simulator.state.media[media.id] = media


def _sent_template(world: World) -> None:
    world.template(
        name=world.json["template"]["name"],
        components=[{"type": "BODY", "text": "It ships in {{1}} for you."}],
    )


def _shown_templates(world: World) -> None:
    for row in reversed(world.exchange.body["data"]):
        world.template(**{"parameter_format": None, **row})
    world.simulator.state.templates = dict(reversed(world.simulator.state.templates.items()))


def _shown_template(world: World) -> None:
    world.template(**world.exchange.body)


def _changed_template(world: World) -> None:
    world.template(id=world.path.split("/")[-1], name="seasonal_promotion")


def _named_template(world: World) -> None:
    world.template(name="seasonal_promotion")


def _incoming(world: World) -> None:
    message_id = world.json["message_id"]
    customer = world.simulator.create_customer(phone_number="15550100001")
    world.simulator.state.remember(
        Message(
            id=message_id,
            number_id=world.number.id,
            waba_id=world.waba.id,
            direction="incoming",
            customer=customer.key,
            type="text",
            content={},
            created_at=world.simulator.clock.now(),
        )
    )


def _profile(world: World) -> None:
    shown = dict(world.exchange.body["data"][0])
    shown.pop("messaging_product")
    world.number.profile = shown


def _text(world: World) -> None:
    if not isinstance(world.json, dict):
        world.json = {"messaging_product": "whatsapp", "to": "15550102910", "text": {"body": "hola"}}


def _code(world: World, **spoil: Any) -> None:
    code = issue_code(world.simulator, APP, None)
    world.params = {"client_id": APP, "client_secret": SECRET, "code": code.value, **spoil}
    world.headers = {}


def _code_again(world: World) -> None:
    _code(world)
    world.repeat = 1


def _refresh(world: World) -> None:
    _code(
        world,
        grant_type="fb_exchange_token",
        fb_exchange_token=TOKEN,
        set_token_expires_in_60_days="true",
    )


def _debug(world: World) -> None:
    shown = world.exchange.body["data"]
    world.app.name = shown["application"]
    ids = shown.get("granular_scopes", [{}])[0].get("target_ids")
    token = world.simulator.create_token(
        value="EAAshown", user_id=shown["user_id"], waba_ids=ids, scopes=shown["scopes"] or ["x"]
    )
    token.expires_at = float(shown["expires_at"])
    world.params = {"input_token": "EAAshown"}


def _expired(world: World) -> None:
    _text(world)
    world.token.expires_at = 1.0


def _malformed(world: World) -> None:
    _text(world)
    world.headers = {"Authorization": "Bearer nonsense"}


def _no_scope(world: World) -> None:
    _text(world)
    world.token.scopes = []


def _other_recipients(world: World) -> None:
    _text(world)
    world.number.allowed_recipients = []


def _pair(world: World) -> None:
    _text(world)
    world.simulator.settings.pair_burst = 1
    world.repeat = 1


def _throughput(world: World) -> None:
    _text(world)
    world.simulator.settings.throughput = {"STANDARD": 0}


def _parameter_missing(world: World) -> None:
    world.template(name="two", components=[{"type": "BODY", "text": "a {{1}} b {{2}} c"}])
    components = [{"type": "body", "parameters": [{"type": "text", "text": "x"}]}]
    world.json = {
        "messaging_product": "whatsapp",
        "to": "15550102910",
        "type": "template",
        "template": {"name": "two", "language": {"code": "en_US"}, "components": components},
    }


def _template_missing(world: World) -> None:
    world.json = {
        "messaging_product": "whatsapp",
        "to": "15550102910",
        "type": "template",
        "template": {"name": "hello_wrld", "language": {"code": "en_US"}},
    }


def _other_pin(world: World) -> None:
    world.set_number(pin="999999", is_pin_enabled=True)


def _not_registered(world: World) -> None:
    _text(world)
    _unregistered(world)


def _too_many_registrations(world: World) -> None:
    world.json = {"messaging_product": "whatsapp", "pin": "123456"}
    world.repeat = 10


def _pin_format(world: World) -> None:
    world.json = {"messaging_product": "whatsapp", "pin": "12"}


def _sync_again(world: World) -> None:
    _on_app(world)
    world.json = {"messaging_product": "whatsapp", "sync_type": "history"}
    world.repeat = 1


def _on_app(world: World) -> None:
    world.set_number(is_on_biz_app=True)


def _app_limit(world: World) -> None:
    _text(world)
    world.fault(edge="messages", code=4)


def _waba_limit(world: World) -> None:
    world.simulator.settings.management_calls_per_hour_registered = 1
    world.repeat = 1


def _block(world: World) -> None:
    user = world.exchange.body["block_users"]["added_users"][0]["input"]
    customer = world.simulator.create_customer(phone_number=user)
    customer.last_wrote_at[world.number.id] = world.simulator.clock.now()
    world.json = {"messaging_product": "whatsapp", "block_users": [{"user": user}]}


def _unverified(world: World) -> None:
    world.set_number(code_verification_status="NOT_VERIFIED", status="PENDING")


def _asked_too_often(world: World) -> None:
    _unverified(world)
    world.simulator.settings.code_requests_per_hour = 0


def _code_sent(world: World) -> None:
    _unverified(world)
    world.set_number(code="123456", code_expires_at=world.simulator.clock.now() + 600)
    if world.json is None:
        world.json = {"code": "123456"}


def _username(world: World) -> None:
    world.set_number(username=world.exchange.body["username"])


def _user_node(world: World) -> None:
    world.simulator.state.users["123456"] = "Someone"


def _add_number(world: World) -> None:
    world.simulator.state.numbers.clear()


def _subscribed(world: World) -> None:
    for row in world.exchange.body["data"]:
        described = row["whatsapp_business_api_data"]
        world.simulator.state.apps[described["id"]] = App(
            id=described["id"], secret="x", name=described["name"]
        )
        world.waba.subscriptions[described["id"]] = row.get("override_callback_uri")


def _override_post(world: World) -> None:
    if world.json is None:
        world.json = {"override_callback_uri": "https://own.test/", "verify_token": "x"}


def _commerce(world: World) -> None:
    world.number.profile["_commerce"] = {"is_cart_enabled": True, "is_catalog_visible": True}


def _rejected(world: World) -> None:
    world.json = {
        "name": "x",
        "language": "en_US",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": "x"}],
    }


def _docs_text(world: World) -> None:
    world.json = {
        "messaging_product": "whatsapp",
        "to": "+16505551234",
        "type": "text",
        "text": {"body": "x"},
    }


def _both_recipients(world: World) -> None:
    customer = world.simulator.create_customer(phone_number="16505551234")
    customer.bsuids[world.waba.business_id] = "US.13491208655302741918"


def _reaction(world: World) -> None:
    _text(world)


def _only_templates(world: World) -> None:
    _text(world)
    world.fault(
        edge="messages",
        code=100,
        message="(#100) Invalid parameter",
        details="Message must be a template message.",
    )


def _transient(world: World) -> None:
    world.fault(
        code=2,
        http_status=500,
        message="An unexpected error occurred. Please retry your request",
        is_transient=True,
    )


def _gone(world: World) -> None:
    world.simulator.state.numbers.clear()


def _wrong_code(world: World) -> None:
    _code_sent(world)
    world.json = {"code": "000000"}


def _no_token(world: World) -> None:
    world.headers = {}


PREPARATIONS: dict[str, Callable[[World], None]] = {
    "asm_err_100_36009_code_reused": _code_again,
    "asm_err_101_bad_app": lambda world: _code(world, client_id="1"),
    "asm_err_10_permission": _no_scope,
    "asm_err_131030_recipient_not_allowed": _other_recipients,
    "asm_err_131056_pair_rate": _pair,
    "asm_err_132000_param_count": _parameter_missing,
    "asm_err_132001_template_missing": _template_missing,
    "asm_err_133005_pin_mismatch": _other_pin,
    "asm_err_133010_not_registered": _not_registered,
    "asm_err_133016_register_attempts": _too_many_registrations,
    "asm_err_190_463_expired": _expired,
    "asm_err_190_malformed": _malformed,
    "asm_err_1_bad_client_secret": lambda world: _code(world, client_secret="wrong"),
    "asm_err_200_permission": _no_scope,
    "asm_err_2593107_sync_again": _sync_again,
    "asm_err_4_app_limit": _app_limit,
    "asm_err_80007_waba_limit": _waba_limit,
    "asm_ok_block_users": _block,
    "asm_ok_debug_token_granular_scopes": _debug,
    "asm_ok_debug_token_invalid": _debug,
    "asm_ok_oauth_access_token": _code,
    "asm_ok_oauth_fb_exchange_token": _refresh,
    "asm_ok_success": _unverified,
    "asm_ok_username_get": _username,
    "err_100_message_must_be_template": _only_templates,
    "err_100_nonexisting_field_2026": _user_node,
    "err_130429_rate_limit": _throughput,
    "err_136024_2388091_request_code": _asked_too_often,
    "err_136025_2388093_verify_code_wrong": _code_sent,
    "oas_err_400_deregister_not_registered_2207051": _unregistered,
    "oas_err_400_deregister_smb": _on_app,
    "oas_err_400_register_pin_format": _pin_format,
    "oas_err_401_expired_token": _expired,
    "oas_err_401_missing_token_104": _no_token,
    "oas_err_403_permission_200": _no_scope,
    "oas_err_404_803": _gone,
    "oas_err_422_verify_code": _wrong_code,
    "oas_err_429_waba_80007": _waba_limit,
    "oas_err_500_transient": _transient,
    "oas_ok_phone_numbers_list": _show_number,
    "oas_ok_subscribed_apps": _subscribed,
    "oas_ok_subscribed_apps_post_custom_callback": _override_post,
    "oas_ok_verify_code": _code_sent,
    "oas_ok_waba_node": _show_waba,
    "ok_add_phone_number": _add_number,
    "ok_business_profile_get": _profile,
    "ok_business_profile_get_one_field": _profile,
    "ok_coexistence_phone_is_on_biz_app": _show_number,
    "ok_commerce_settings": _commerce,
    "ok_debug_token_system_user": _debug,
    "ok_display_name_pending": _show_number,
    "ok_health_available": _health,
    "ok_health_blocked_sip": _health,
    "ok_health_blocked_template": _draft_template,
    "ok_health_limited": _health,
    "ok_mark_read_with_typing_indicator": _incoming,
    "ok_media_delete": _media,
    "ok_media_download_binary": _download,
    "ok_media_get_docs_shape": _media,
    "ok_media_get_document": _media,
    "ok_media_get_image": _media,
    "ok_messages_audio_id": _sent_media,
    "ok_messages_docs_plus_prefix": _docs_text,
    "ok_messages_document_id": _sent_media,
    "ok_messages_reaction": _reaction,
    "ok_messages_sticker_id": _sent_media,
    "ok_messages_template": _sent_template,
    "ok_messages_to_phone_and_bsuid": _both_recipients,
    "ok_messages_video_id": _sent_media,
    "ok_messaging_limit": _show_number,
    "ok_phone_name_status": _show_number,
    "ok_phone_node_default_fields": _show_number,
    "ok_phone_node_fields": _show_number,
    "ok_phone_numbers_certificates": _show_number,
    "ok_phone_numbers_filter_sandbox": _show_number,
    "ok_phone_status": _show_number,
    "ok_phone_webhook_configuration": _show_override,
    "ok_smb_app_data_sync": _on_app,
    "ok_subscribed_apps_post_override": _override_post,
    "ok_subscribed_apps_with_override": _subscribed,
    "ok_template_create_rejected_at_once": _rejected,
    "ok_template_delete_by_name": _named_template,
    "ok_template_get": _shown_template,
    "ok_template_update": _changed_template,
    "ok_templates_list": _shown_templates,
    "ok_waba_node": _show_waba,
    "ok_waba_node_docs": _show_waba,
    "ok_waba_phone_numbers_four_qualities": _show_number,
    "ok_waba_phone_numbers_list": _show_number,
    "ok_waba_template_namespace": _show_waba,
    "ok_webhook_override_phone_get": _show_override,
}


async def table() -> list[tuple[Exchange, list[str]]]:
    """Ask every exchange again; return each with its differences."""
    return [(exchange, differences(exchange, await ask(build(exchange)))) for exchange in exchanges()]
