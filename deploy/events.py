"""The events that invoke a function on AWS, as AWS documents them. No I/O."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Event = dict[str, Any]


def http_api(
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    is_base64: bool = False,
) -> Event:
    """Make an HTTP API's event, payload format 2.0.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example", "x-forwarded-proto": "https", **_lower(headers)},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "api.example",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "rehearsal",
            },
            "requestId": "rehearsal",
            "routeKey": "$default",
            "stage": "$default",
            "time": "24/Nov/2026:00:00:00 +0000",
            "timeEpoch": 1795478400000,
        },
        **_body(body, is_base64=is_base64),
    }


def function_url(method: str, path: str, **how: Any) -> Event:
    """Make a function URL's event: format 2.0 too, with a domain of its own.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    event = http_api(method, path, **how)
    domain = "rehearsal.lambda-url.us-east-1.on.aws"
    event["headers"]["host"] = domain
    event["requestContext"] |= {"apiId": "rehearsal", "domainName": domain, "domainPrefix": "rehearsal"}
    return event


def rest_api(
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    is_base64: bool = False,
) -> Event:
    """Make a REST API's event, payload format 1.0.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    given = {"Host": "api.example", "X-Forwarded-Proto": "https", **(headers or {})}
    return {
        "version": "1.0",
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": {
            name: [value for key, value in pairs if key == name] for name, _ in pairs
        }
        or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "httpMethod": method,
            "path": path,
            "stage": "$default",
            "requestId": "rehearsal",
            "resourcePath": "/{proxy+}",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "rehearsal"},
        },
        **_body(body, is_base64=is_base64),
    }


def queue(bodies: Iterable[str], *, sent_at: float = 1795478400.0) -> Event:
    """Make a batch of SQS messages, whose ids are their places.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    return {
        "Records": [
            {
                "messageId": str(position),
                "receiptHandle": "rehearsal",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(int(sent_at * 1000)),
                    "SenderId": "rehearsal",
                    "ApproximateFirstReceiveTimestamp": str(int(sent_at * 1000)),
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:deliveries",
                "awsRegion": "us-east-1",
            }
            for position, body in enumerate(bodies)
        ]
    }


def schedule() -> Event:
    """Make the event of an EventBridge schedule.

    https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html
    """
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-11-24T00:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/worker"],
        "detail": {},
    }


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


def _body(body: bytes, *, is_base64: bool) -> Event:
    if not body:
        return {"body": None, "isBase64Encoded": False}
    text = base64.b64encode(body).decode() if is_base64 else body.decode()
    return {"body": text, "isBase64Encoded": is_base64}
