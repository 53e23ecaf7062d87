"""Settings: what is refused, with sentences that say what to do and never repeat a value."""

from __future__ import annotations

import base64
import dataclasses
import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Misconfigured
from shared.settings import VARIABLES, Secret, Settings, is_loopback

KEY = base64.b64encode(bytes(range(32))).decode()


def problem(name: str, text: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_environ({name: text}, need=[name])
    sentence = caught.value.problems[name]
    assert sentence.startswith(f"{name} ")
    assert sentence.endswith(".")
    return sentence


def jwt(role: str) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, {"role": role})]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "signature"])


def test_everything_that_is_missing_or_wrong_is_told_at_once() -> None:
    environ = {
        "SUPABASE_URL": "nowhere",
        "GRAPH_API_VERSION": "26",
        "LOG_LEVEL": "loud",
        "WHATSAPP_APP_ID": "",
    }

    with pytest.raises(Misconfigured) as caught:
        Settings.from_environ(environ, need=VARIABLES)

    assert set(caught.value.problems) == {"SUPABASE_URL", "GRAPH_API_VERSION", "LOG_LEVEL"}
    assert set(caught.value.missing) == {
        name for name, variable in VARIABLES.items() if variable.default is None and name != "SUPABASE_URL"
    }


@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if variable.default is None])
@pytest.mark.parametrize("text", ["", " ", "\n", None], ids=["empty", "space", "newline", "unset"])
def test_an_empty_variable_is_a_missing_one(name: str, text: str | None) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_environ({} if text is None else {name: text}, need=[name])

    assert caught.value.missing == (name,)


@pytest.mark.parametrize(
    "name, text, advice",
    [
        ("SUPABASE_URL", "project.supabase.co", "begins with https://"),
        ("SUPABASE_URL", "ftp://project.supabase.co", "begins with https://"),
        ("SUPABASE_URL", "http://project.supabase.co", "only for this machine itself"),
        ("SUPABASE_URL", "http://127.0.0.1.example.com", "only for this machine itself"),
        ("SUPABASE_URL", "https://project.supabase.co/rest/v1", "without a path"),
        ("SUPABASE_URL", "https://project.supabase.co?apikey=x", "without a path"),
        ("SUPABASE_URL", "https://project.supabase.co/#settings", "no #"),
        ("SUPABASE_URL", "https://user:secret@project.supabase.co", "before the @"),
        ("SUPABASE_URL", "https://project.supabase.co:port", "not an address"),
        ("SUPABASE_URL", "https://[::1", "not an address"),
        ("SUPABASE_URL", "https:///path", "whole address"),
        ("SUPABASE_URL", "<your project's address>", "placeholder"),
        ("GRAPH_API_URL", "https://graph.facebook.com/v26.0", "GRAPH_API_VERSION"),
        ("GRAPH_API_URL", "http://graph.facebook.com", "https://"),
        ("GRAPH_API_URL", "https://graph.facebook.com?a=b", "no ?"),
        ("GRAPH_API_VERSION", "26.0", "v26.0"),
        ("GRAPH_API_VERSION", "v26", "v26.0"),
        ("GRAPH_API_VERSION", "v26.1", "v26.0"),
        ("GRAPH_API_VERSION", "v0.0", "v26.0"),
        ("GRAPH_API_VERSION", "v26.0/..", "v26.0"),
        ("SUPABASE_PUBLISHABLE_KEY", "sb_secret_abc", "holds the secret key"),
        ("SUPABASE_PUBLISHABLE_KEY", jwt("service_role"), "holds the secret key"),
        ("SUPABASE_SECRET_KEY", "sb_publishable_abc", "holds the publishable key"),
        ("SUPABASE_SECRET_KEY", jwt("anon"), "holds the publishable key"),
        ("SUPABASE_SECRET_KEY", "sb_secret abc", "space or a line break"),
        ("ENCRYPTION_KEYS", KEY, "no colon"),
        ("ENCRYPTION_KEYS", f"a:{KEY[:20]}", "openssl rand -base64 32"),
        ("WHATSAPP_APP_SECRET", " , ,", "only commas"),
        ("WHATSAPP_APP_SECRET", "one,two three", "space or a line break"),
        ("WHATSAPP_APP_ID", "my app", "digits of an id"),
        ("WHATSAPP_APP_ID", "1234", "digits of an id"),
        ("WHATSAPP_PHONE_NUMBER_ID", "+15550100001", "digits of an id"),
        ("WHATSAPP_ACCESS_TOKEN", "<token>", "placeholder"),
        ("WHATSAPP_WEBHOOK_URL", "https://example.com/" + "x" * 200, "longer than the 200"),
        ("WHATSAPP_WEBHOOK_URL", "http://example.com/hook", "https://"),
        ("ALLOWED_ORIGINS", "*", "every page"),
        ("ALLOWED_ORIGINS", "https://app.example.com,*", "every page"),
        ("ALLOWED_ORIGINS", "https://app.example.com/chat", "without a path"),
        ("ALLOWED_ORIGINS", "app.example.com", "https://"),
        ("ALLOWED_ORIGINS", "http://app.example.com", "only for this machine"),
        ("CRON_SECRET", "short", "at least 16"),
        ("VERIFICATION_TEMPLATE", "My Template", "small letters"),
        ("VERIFICATION_SMS", "twilio", "must be sns"),
        ("VERIFICATIONS_PER_HOUR", "0", "whole number"),
        ("VERIFICATIONS_PER_HOUR", "many", "whole number"),
        ("ALLOW_LOOPBACK_ENDPOINTS", "perhaps", "true or false"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_answered_with_what_to_do_and_not_repeated(
    name: str, text: str, advice: str
) -> None:
    sentence = problem(name, text)

    assert advice in sentence
    if name not in {"GRAPH_API_VERSION", "ALLOWED_ORIGINS"}:
        assert text not in sentence


def test_what_is_not_needed_is_looked_at_only_when_it_is_used() -> None:
    settings = Settings.from_environ({"DASHBOARD_URL": "nowhere"}, need=[])

    with pytest.raises(Misconfigured):
        _ = settings.dashboard_url


def test_a_secret_that_was_forgotten_is_never_an_empty_one() -> None:
    settings = Settings.from_environ({}, need=[])

    with pytest.raises(Misconfigured, match="WHATSAPP_APP_SECRET"):
        _ = settings.whatsapp_app_secrets


def test_no_secret_is_shown_by_any_representation() -> None:
    environ = {
        "SUPABASE_SECRET_KEY": "sb_secret_abcdefgh",
        "WHATSAPP_APP_SECRET": "first-secret,second-secret",
        "ENCRYPTION_KEYS": f"k1:{KEY}",
    }

    settings = Settings.from_environ(environ, need=environ)

    @dataclasses.dataclass
    class Holder:
        key: str
        secrets: tuple[str, ...]

    holder = Holder(settings.supabase_secret_key, settings.whatsapp_app_secrets)
    shown = f"{settings!r} {settings} {holder!r} {[settings.encryption_keys]!r}"
    assert not any(secret in shown for secret in ("abcdefgh", "first-secret", "second-secret", KEY))


def test_every_secret_part_is_listed_for_the_log_and_no_id_of_a_key() -> None:
    settings = Settings.from_environ(
        {"WHATSAPP_APP_SECRET": "first-secret, second-secret", "ENCRYPTION_KEYS": f"2026-11:{KEY}"}
    )

    assert {"first-secret", "second-secret", KEY} <= set(settings.secrets())
    assert "2026-11" not in settings.secrets()


@pytest.mark.parametrize(
    "environ, publishable, secret",
    [
        ({"SUPABASE_PUBLISHABLE_KEY": "p1", "SUPABASE_SECRET_KEY": "s1"}, "p1", "s1"),
        ({"SUPABASE_ANON_KEY": "p2", "SUPABASE_SERVICE_ROLE_KEY": "s2"}, "p2", "s2"),
        (
            {
                "SUPABASE_PUBLISHABLE_KEYS": '{"default":"p3"}',
                "SUPABASE_SECRET_KEYS": '{"a":"x","default":"s3"}',
            },
            "p3",
            "s3",
        ),
        ({"SUPABASE_PUBLISHABLE_KEYS": '{"web":"p4"}', "SUPABASE_SECRET_KEYS": '{"web":"s4"}'}, "p4", "s4"),
        (
            {"SUPABASE_PUBLISHABLE_KEY": "p5", "SUPABASE_ANON_KEY": "x", "SUPABASE_SECRET_KEY": "s5"},
            "p5",
            "s5",
        ),
        (
            {"SUPABASE_PUBLISHABLE_KEY": " ", "SUPABASE_ANON_KEY": "p6", "SUPABASE_SECRET_KEY": "s6\n"},
            "p6",
            "s6",
        ),
    ],
    ids=["new", "legacy", "json", "json_named", "both", "pasted"],
)
def test_supabases_keys_are_found_under_each_name_that_supabase_uses(
    environ: dict[str, str], publishable: str, secret: str
) -> None:
    settings = Settings.from_environ(environ, need=["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"])

    assert settings.supabase_publishable_key == publishable
    assert settings.supabase_secret_key == secret


@pytest.mark.parametrize("text", ["[]", "{}", "nonsense", '"text"', '{"default":""}'])
def test_keys_that_are_no_json_object_are_missing(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_environ({"SUPABASE_SECRET_KEYS": text}, need=["SUPABASE_SECRET_KEY"])

    assert caught.value.missing == ("SUPABASE_SECRET_KEY",)


def test_several_app_secrets_are_kept_in_order_while_they_are_rotated() -> None:
    settings = Settings.from_environ({"WHATSAPP_APP_SECRET": "new, old ,"})

    assert settings.whatsapp_app_secrets == ("new", "old")
    assert settings.whatsapp_app_secret == "new"


def test_defaults_are_metas_own() -> None:
    settings = Settings.from_environ(
        {}, need=["GRAPH_API_URL", "GRAPH_API_VERSION", "ALLOWED_ORIGINS", "LOG_LEVEL"]
    )

    assert settings.graph_api_url == "https://graph.facebook.com"
    assert settings.graph_api_version == "v26.0"
    assert settings.allowed_origins == ()
    assert settings.log_level == "info"


def test_optional_parts_are_chosen_by_name() -> None:
    settings = Settings.from_environ(
        {"VERIFICATION_SMS": "sns", "MEDIA_FOLDER": "/var/media", "ALLOW_LOOPBACK_ENDPOINTS": "True"}
    )

    assert settings.verification_template == "verification_code"
    assert settings.verification_sms == "sns"
    assert settings.media_folder == "/var/media"
    assert settings.allows_loopback_endpoints
    assert not Settings.from_environ({}).allows_loopback_endpoints


def test_what_one_path_alone_needs_is_demanded_there() -> None:
    settings = Settings.from_environ({"DASHBOARD_URL": "https://app.example.com"})

    assert settings.demand("DASHBOARD_URL") is settings
    with pytest.raises(Misconfigured) as caught:
        settings.demand("DASHBOARD_URL", "WHATSAPP_CONFIG_ID", "CRON_SECRET")
    assert caught.value.missing == ("WHATSAPP_CONFIG_ID", "CRON_SECRET")


def test_addresses_are_brought_into_one_form() -> None:
    settings = Settings.from_environ(
        {
            "SUPABASE_URL": "http://LOCALHOST:54321/",
            "GRAPH_API_URL": "http://127.0.0.1:8000/graph/",
            "ALLOWED_ORIGINS": "https://App.example.com/, http://localhost:4321,https://app.example.com",
            "DASHBOARD_URL": "https://app.example.com/chat/",
            "WHATSAPP_WEBHOOK_URL": "https://hooks.example.com/functions/v1/whatsapp-webhook",
            "WEBHOOK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/deliveries",
        }
    )

    assert settings.supabase_url == "http://localhost:54321"
    assert settings.graph_api_url == "http://127.0.0.1:8000/graph"
    assert settings.allowed_origins == ("https://app.example.com", "http://localhost:4321")
    assert settings.dashboard_url == "https://app.example.com/chat"
    assert settings.whatsapp_webhook_url.endswith("/whatsapp-webhook")
    assert settings.webhook_queue_url.endswith("/deliveries")


def test_every_variable_has_a_typed_way_to_it() -> None:
    environ = {
        "SUPABASE_URL": "https://project.supabase.co",
        "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_x",
        "SUPABASE_SECRET_KEY": "sb_secret_x",
        "ENCRYPTION_KEYS": f"k1:{KEY}",
        "WHATSAPP_APP_ID": "100000000000001",
        "WHATSAPP_APP_SECRET": "secret",
        "WHATSAPP_CONFIG_ID": "100000000000002",
        "WHATSAPP_BUSINESS_ACCOUNT_ID": "100000000000003",
        "WHATSAPP_PHONE_NUMBER_ID": "100000000000004",
        "WHATSAPP_ACCESS_TOKEN": "EAAG",
        "WHATSAPP_WEBHOOK_VERIFY_TOKEN": "verify",
        "WHATSAPP_WEBHOOK_URL": "https://hooks.example.com",
        "DASHBOARD_URL": "https://app.example.com",
        "WEBHOOK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/q",
        "CRON_SECRET": "0123456789abcdef",
    }
    settings = Settings.from_environ(environ, need=environ)

    for name in environ:
        attribute = "whatsapp_app_secrets" if name == "WHATSAPP_APP_SECRET" else name.lower()
        assert getattr(settings, attribute) == settings.read(name)
    assert [name for name in VARIABLES if f'self.read("{name}")' not in inspect.getsource(Settings)] == []
    assert settings.has("CRON_SECRET")
    assert not Settings.from_environ({}).has("CRON_SECRET")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "supabase.localhost"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "127.0.0.1.nip.io", "127.1.1", "10.0.0.1", "", "1.127.0.0.1"]
)
def test_everything_else_is_not(host: str) -> None:
    assert not is_loopback(host)


@given(text=st.text())
def test_no_text_whatsoever_makes_reading_a_setting_crash(text: str) -> None:
    for name in VARIABLES:
        try:
            Settings.from_environ({name: text}, need=[name])
        except Misconfigured:
            continue


def test_a_secret_still_works_as_text() -> None:
    assert f"Bearer {Secret('abc')}" == "Bearer abc"
    assert repr(Secret("abc")) == "Secret(…)"
