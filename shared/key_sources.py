"""Where the keys come from: the setting itself, AWS Secrets Manager, or AWS KMS. An edge.

ENCRYPTION_KEYS holds one of
    id:base64,id2:base64              the keys
    secretsmanager:<name or ARN>      the secret that holds them in that form
    kms:id:base64,id2:base64          the keys, each encrypted by KMS (an envelope)

Asked once, when a process first needs a key; boto3 is loaded only then, and is there on AWS.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from shared import log
from shared.crypto import KeyRing, parse_envelopes
from shared.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETS_MANAGER, KMS = "secretsmanager:", "kms:"
# Bound into the ciphertext by KMS: a blob that was encrypted for something else does not open.
ENCRYPTION_CONTEXT = {"purpose": "whatsapp-functions"}
# Wrong names and missing rights stay wrong, however often they are tried.
OUR_FAULT = frozenset(
    {
        "AccessDeniedException", "DecryptionFailure", "DisabledException", "IncorrectKeyException",
        "InvalidCiphertextException", "InvalidParameterException", "InvalidRequestException",
        "KMSInvalidStateException", "NotFoundException", "ResourceNotFoundException",
        "UnrecognizedClientException",
    }
)  # fmt: skip


def load_key_ring(setting: str) -> KeyRing:
    """Load the ring that the setting names; raise `Misconfigured` or `Unavailable`."""
    if setting.startswith(SECRETS_MANAGER):
        return _read_ring(_ask("secretsmanager", _get_secret(setting.removeprefix(SECRETS_MANAGER))))
    if setting.startswith(KMS):
        blobs = parse_envelopes(setting.removeprefix(KMS))
        return KeyRing({key_id: _ask("kms", _decrypt(blob)) for key_id, blob in blobs.items()})
    return KeyRing.from_setting(setting)


def _get_secret(name: str) -> Callable[[Any], Any]:
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
    return lambda client: client.get_secret_value(SecretId=name)["SecretString"]


def _decrypt(blob: bytes) -> Callable[[Any], Any]:
    # https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
    return lambda client: client.decrypt(CiphertextBlob=blob, EncryptionContext=ENCRYPTION_CONTEXT)[
        "Plaintext"
    ]


def _ask(service: str, question: Callable[[Any], Any]) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise _misconfigured("names keys that AWS keeps, which are to be had on AWS only.") from None

    config = Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 2})
    try:
        return question(boto3.client(service, config=config))  # type: ignore[call-overload]
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        log.error("keys.not_loaded", service=service, reason=code)
        if code in OUR_FAULT:
            raise _misconfigured(f"names what AWS does not give out ({code}).") from None
        raise Unavailable from None
    except BotoCoreError as error:
        log.error("keys.not_loaded", service=service, reason=type(error).__name__)
        raise Unavailable from None


def _read_ring(text: str) -> KeyRing:
    try:
        return KeyRing.from_setting(text)
    except ValueError as error:
        raise _misconfigured(f"names a secret that {error}") from None


def _misconfigured(problem: str) -> Misconfigured:
    return Misconfigured(problems={"ENCRYPTION_KEYS": f"ENCRYPTION_KEYS {problem}"})


def seal_key(key: bytes, *, kms_key: str) -> str:
    """Encrypt one key for the `kms:` form; for whoever sets it up."""
    import boto3

    answer = boto3.client("kms").encrypt(KeyId=kms_key, Plaintext=key, EncryptionContext=ENCRYPTION_CONTEXT)
    return base64.b64encode(answer["CiphertextBlob"]).decode()
