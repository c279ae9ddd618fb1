"""How the stub's contract tests send, and what every refusal must look like."""

import json

import httpx

HELLO = {"name": "Ana", "msg": "¡hola!"}


async def post(
    client: httpx.AsyncClient, record: object = HELLO, key: str | None = None, **headers: str
) -> httpx.Response:
    """POST a record, or bytes as they are."""
    body = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
    sent = {"content-type": "application/json", **headers}
    if key is not None:
        sent["idempotency-key"] = key
    return await client.post("/", content=body, headers=sent)


def assert_problem(answer: httpx.Response, status: int) -> None:
    """Check that an answer is a problem document (RFC 9457) with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
