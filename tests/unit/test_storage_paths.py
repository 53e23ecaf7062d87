"""A path of Storage leads to one file and nowhere else, or no call is made with it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from shared.attachments import sign_link
from shared.errors import InvalidBody
from shared.storage_paths import LONGEST, is_storage_path

ELSEWHERE = [
    "",
    "bucket",
    "bucket/",
    "/bucket/a",
    "bucket//a",
    "../../bucket/whatsapp-media/empty",
    "bucket/../../bucket/a/empty",
    "bucket/./a",
    "bucket/..",
    "bucket/.../a",
    "bucket/%2e%2e/a",
    "bucket/a%2fb",
    "bucket\\a",
    "bucket/a?b",
    "bucket/a#b",
    "bucket/a\nb",
    "bucket/a\n",
    f"bucket/{'x' * LONGEST}",
]


@pytest.mark.parametrize("path", ["bucket/a", "bucket/a b/ñ.png", "bucket/.well-known/a..b", "b/..a"])
def test_a_bucket_and_a_path_within_it(path: str) -> None:
    assert is_storage_path(path)


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_is_signed_that_may_lead_elsewhere(path: str) -> None:
    assert not is_storage_path(path)
    # Nobody to call with: it is refused before.
    with pytest.raises(InvalidBody):
        asyncio.run(sign_link(cast("Any", None), path, user_token=None))
