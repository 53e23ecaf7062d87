"""Meta's signatures: HMAC-SHA256 with an app secret, over bytes as they came. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "sha256="
FORM = re.compile(rb"sha256=[0-9a-f]{64}")


def has_form(header: str | None) -> bool:
    """Tell whether this can be a signature at all, before a body is read or a secret looked up for it."""
    return header is not None and FORM.fullmatch(header.encode("utf-8", "surrogatepass")) is not None


def is_signed(body: bytes, header: str | bytes | None, secrets: Sequence[str]) -> bool:
    """Tell whether one of the secrets signed exactly these bytes; the time taken tells nothing."""
    # Bytes, because compare_digest raises on a str that is not ASCII and anybody may send one.
    given = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else (header or b"")
    # All of them are tried, and no empty one: anyone can sign with the empty key.
    matches = [hmac.compare_digest(sign(body, secret).encode(), given) for secret in secrets if secret]
    return any(matches)


def sign(body: bytes, secret: str) -> str:
    """Sign as Meta does; the value of `X-Hub-Signature-256`."""
    return PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def appsecret_proof(token: str, secret: str) -> str:
    """Prove to Graph that the caller of this token also knows the app's secret.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
