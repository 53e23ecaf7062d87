"""The keys come from the setting, from Secrets Manager, or sealed by AWS KMS: the same ring either way."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared import key_sources
from shared.errors import Misconfigured
from shared.key_sources import load_key_ring, seal_key
from shared.settings import Settings
from shared.web import Resources

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY, OLD = os.urandom(32), os.urandom(32)
RING = f"new:{base64.b64encode(KEY).decode()},old:{base64.b64encode(OLD).decode()}"
PLACE = {"row_id": "1", "column": "pin"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from moto import mock_aws

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


def opens_what_the_setting_wrote(setting: str) -> bool:
    Settings.from_environ({"ENCRYPTION_KEYS": setting}, need=["ENCRYPTION_KEYS"])
    plain, loaded = load_key_ring(RING), load_key_ring(setting)
    return (
        loaded.decrypt(plain.encrypt("123456", **PLACE), **PLACE) == "123456" and loaded.writing_id == "new"
    )


def test_the_setting_itself_is_a_source() -> None:
    assert opens_what_the_setting_wrote(RING)


def test_a_secret_of_secrets_manager_is_a_source(aws: None) -> None:
    import boto3

    boto3.client("secretsmanager").create_secret(Name="whatsapp/keys", SecretString=RING)

    assert opens_what_the_setting_wrote("secretsmanager:whatsapp/keys")


def test_keys_that_kms_sealed_are_a_source(aws: None) -> None:
    import boto3

    kms_key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
    sealed = f"kms:new:{seal_key(KEY, kms_key=kms_key)},old:{seal_key(OLD, kms_key=kms_key)}"

    assert opens_what_the_setting_wrote(sealed)
    assert base64.b64encode(KEY).decode() not in sealed


def test_the_guides_command_makes_a_ring(aws: None, capsys: pytest.CaptureFixture[str]) -> None:
    import boto3

    guide = Path(__file__).parents[2] / "docs" / "connecting.md"
    (command,) = re.findall(r"python -c '(import os.*?)'\n", guide.read_text("utf-8"), re.DOTALL)
    kms_key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
    boto3.client("kms").create_alias(AliasName="alias/whatsapp-functions", TargetKeyId=kms_key)

    exec(command, {})  # noqa: S102 - what the guide tells to run

    ring = load_key_ring(capsys.readouterr().out.strip())
    assert ring.writing_id == "2026"
    assert ring.decrypt(ring.encrypt("123456", **PLACE), **PLACE) == "123456"


def test_a_secret_that_is_not_there_names_the_setting(aws: None) -> None:
    with pytest.raises(Misconfigured) as refused:
        load_key_ring("secretsmanager:nothing/there")

    assert list(refused.value.problems) == ["ENCRYPTION_KEYS"]
    assert "nothing/there" not in str(refused.value)


def test_a_secret_that_holds_no_ring_says_so_and_shows_nothing(aws: None) -> None:
    import boto3

    boto3.client("secretsmanager").create_secret(Name="other", SecretString="hunter2hunter2")

    with pytest.raises(Misconfigured) as refused:
        load_key_ring("secretsmanager:other")

    assert "hunter2" not in str(refused.value.to_body())


def test_what_kms_did_not_seal_is_refused(aws: None) -> None:
    with pytest.raises(Misconfigured):
        load_key_ring(f"kms:new:{base64.b64encode(b'not from kms at all').decode()}")


@pytest.mark.anyio
async def test_aws_is_asked_once_and_holds_up_nothing_else(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    boto3.client("secretsmanager").create_secret(Name="whatsapp/keys", SecretString=RING)
    asked_in: list[int] = []
    ask = key_sources._ask

    def note(*question: Any) -> Any:
        asked_in.append(threading.get_ident())
        return ask(*question)

    monkeypatch.setattr(key_sources, "_ask", note)
    tools = Resources({"ENCRYPTION_KEYS": "secretsmanager:whatsapp/keys"}, (), None)

    rings = await asyncio.gather(*(tools.load_keys() for _ in range(5)))

    assert len(asked_in) == 1
    assert threading.get_ident() not in asked_in
    assert {id(ring) for ring in rings} == {id(tools.keys)}


@pytest.mark.parametrize("setting", ["secretsmanager:whatsapp/keys", "kms:new:AAAA"])
def test_where_boto3_is_not_there_the_setting_is_told_to_be_for_aws(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(Misconfigured) as refused:
        load_key_ring(setting)

    assert "AWS only" in refused.value.problems["ENCRYPTION_KEYS"]


@pytest.mark.parametrize(
    "setting", ["kms:", "kms:new", "kms:new:***", "secretsmanager:", "kms:a:AAAA,a:AAAA"]
)
def test_a_source_that_is_not_whole_is_refused_before_anybody_is_asked(setting: str) -> None:
    with pytest.raises(Misconfigured):
        Settings.from_environ({"ENCRYPTION_KEYS": setting}, need=["ENCRYPTION_KEYS"])
