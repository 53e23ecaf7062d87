"""How a verification code of ours reaches a phone: as a WhatsApp template, or by SMS. An edge."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from shared import log
from shared.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from shared.attempts import Access
    from shared.errors import Language
    from shared.web import Resources

SMS_TEXTS: dict[Language, str] = {
    "en": "{code} is your code to connect this number. It is valid for 10 minutes. Share it with nobody.",
    "es": "{code} es tu código para conectar este número. Vale 10 minutos. No lo compartas con nadie.",
}


async def send_code(
    tools: Resources, access: Access, code: str, *, to: str, by: str, language: Language
) -> None:
    """Send the code; raise `GraphError`, `GraphUnreachable` or `Unavailable` when it was not."""
    if by == "sms":
        await _send_sms(tools, SMS_TEXTS[language].format(code=code), to=to)
    else:
        await _send_template(tools, access, code, to=to, language=language)


async def _send_template(tools: Resources, access: Access, code: str, *, to: str, language: Language) -> None:
    """Send an authentication template: the code stands in its body and in its copy button.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/authentication-templates
    """
    parameter = {"type": "text", "text": code}
    message = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to.removeprefix("+"),
        "type": "template",
        "template": {
            "name": tools.settings.verification_template,
            "language": {"code": language},
            "components": [
                {"type": "body", "parameters": [parameter]},
                {"type": "button", "sub_type": "url", "index": "0", "parameters": [parameter]},
            ],
        },
    }
    number = tools.settings.demand("WHATSAPP_PHONE_NUMBER_ID").whatsapp_phone_number_id
    await tools.graph.send_message(number, message, token=access.token, app_secret=access.app_secret)


async def _send_sms(tools: Resources, text: str, *, to: str) -> None:
    if not tools.settings.has("VERIFICATION_SMS"):
        raise Misconfigured(missing=["VERIFICATION_SMS"])
    # https://docs.aws.amazon.com/sns/latest/dg/sms_sending-overview.html
    kind = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}}
    try:
        publish = partial(_sns().publish, PhoneNumber=to, Message=text, MessageAttributes=kind)
        await anyio.to_thread.run_sync(publish)
    except ImportError:
        sentence = "VERIFICATION_SMS names Amazon SNS, which is to be had on AWS only."
        raise Misconfigured(problems={"VERIFICATION_SMS": sentence}) from None
    except Exception as error:  # noqa: BLE001 - AWS's errors are made at run time
        log.error("verification.sms_not_sent", error=error)
        raise Unavailable from None


@cache
def _sns() -> Any:
    import boto3

    return boto3.client("sns")
