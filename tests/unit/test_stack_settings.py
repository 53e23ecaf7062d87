"""What the environment of a start names is taken, and the rest is made up anew each time."""

from __future__ import annotations

import re

import pytest

from local.settings import PORTS, Settings, SettingsMissing

KEYS = {"SUPABASE_PUBLISHABLE_KEY": "theirs", "SUPABASE_SECRET_KEY": "theirs too"}


def test_nothing_is_shared_by_two_starts() -> None:
    one, another = (Settings.from_environ({}) for _ in range(2))

    made_up = ("SUPABASE_SECRET_KEY", "WHATSAPP_APP_SECRET", "ENCRYPTION_KEYS", "CRON_SECRET", "DATABASE_URL")
    assert [name for name in made_up if one.variables[name] == another.variables[name]] == []
    assert one.supabase_jwt_secret != another.supabase_jwt_secret
    assert one.postgres_password != another.postgres_password


def test_ports_are_free_different_and_out_of_the_way() -> None:
    settings = Settings.from_environ({})

    ports = {settings.postgres_port, settings.supabase_port, settings.graph_port, settings.functions_port}
    assert len(ports) == 4
    assert all(port in PORTS for port in ports)


def test_ids_look_like_metas() -> None:
    variables = Settings.from_environ({}).variables

    assert re.fullmatch(r"1[0-9]{14}", variables["WHATSAPP_APP_ID"])
    assert re.fullmatch(r"[0-9a-f]{32}", variables["WHATSAPP_APP_SECRET"])


@pytest.mark.parametrize(
    "environ, starts",
    [
        ({}, (True, True, True)),
        ({"DATABASE_URL": "  "}, (True, True, True)),
        ({"DATABASE_URL": "postgresql://host/db"}, (False, True, True)),
        ({"SUPABASE_URL": "https://project.example", **KEYS}, (False, False, True)),
        ({"GRAPH_API_URL": "http://127.0.0.1:9"}, (True, True, False)),
    ],
)
def test_what_is_named_is_not_started(environ: dict[str, str], starts: tuple[bool, bool, bool]) -> None:
    settings = Settings.from_environ(environ)

    assert (settings.starts_postgres, settings.starts_supabase, settings.starts_graph) == starts
    named = {name: text for name, text in environ.items() if text.strip()}
    assert {name: settings.variables[name] for name in named} == named


def test_another_supabase_needs_its_keys() -> None:
    with pytest.raises(SettingsMissing, match="SUPABASE_SECRET_KEY must be set too"):
        Settings.from_environ({"SUPABASE_URL": "https://project.example", "SUPABASE_ANON_KEY": "theirs"})


def test_the_older_names_of_the_keys_count() -> None:
    settings = Settings.from_environ(
        {
            "SUPABASE_URL": "https://project.example",
            "SUPABASE_ANON_KEY": "theirs",
            "SUPABASE_SERVICE_ROLE_KEY": "theirs too",
        }
    )

    assert {name: settings.variables[name] for name in KEYS} == KEYS


def test_functions_of_this_start_answer_at_this_start() -> None:
    settings = Settings.from_environ({"FUNCTIONS_URL": "https://elsewhere.example/functions/v1"})

    assert settings.variables["FUNCTIONS_URL"] == f"http://127.0.0.1:{settings.functions_port}/functions/v1"
