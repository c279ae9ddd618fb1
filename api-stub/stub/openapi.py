"""The API's description, OpenAPI 3.1. Rule: it is true; tests hold the running stub against it.

Its schemas are made from the types in `documents`; paths and parameters are written here.
"""

from typing import Any

import msgspec

from stub.documents import Audit, Health, Indexes, MessageDocument, MessageList, Payload, ProblemDetails, Summary
from stub.faults import MAX_PLAN_LENGTH, NO_FAULTS, PLAN_PATTERN
from stub.message import MAX_KEY
from stub.post import MAX_WORKER
from stub.settings import Settings

Schema = dict[str, Any]

_DOCUMENTS: dict[str, type] = {
    "Payload": Payload,
    "Message": MessageDocument,
    "Summary": Summary,
    "List": MessageList,
    "Audit": Audit,
    "Indexes": Indexes,
    "Health": Health,
    "Problem": ProblemDetails,
}


def _schemas() -> dict[str, Schema]:
    """Return the schema of each document by the name that the description gives it."""
    _, found = msgspec.json.schema_components(_DOCUMENTS.values(), ref_template="#/components/schemas/{name}")
    for schema in found.values():
        del schema["title"]  # the name of our class
    return {name: found[document.__name__] for name, document in _DOCUMENTS.items()}


_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}


def _json(name: str) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _problem(description: str, **more: Schema) -> Schema:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}, **more}


def _header(name: str, description: str, most: int, pattern: str) -> Schema:
    schema = {"type": "string", "minLength": 1, "maxLength": most, "pattern": pattern}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _query(name: str, description: str, schema: Schema, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema, "required": required}


_DOWN = _problem("The store does not answer, or too many wait. Send it again, with the same key.", headers=_RETRY_AFTER)
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_TO_MESSAGE = {"stored": {"operationId": "message", "parameters": {"id": "$response.body#/id"}}}
_PRINTABLE = r'^(?!""$)[!-~]([ -~]*[!-~])?$'
_TEXT = {"type": "string", "minLength": 1, "maxLength": 255}
_MISBEHAVE = _header(
    "Stub-Misbehave",
    "Faults for this one request, as in `latency=0.1-0.5, error=503@0.1, reset-after@0.02`; `none`: no fault. Faults"
    " that end the connection or omit the answer have no status.",
    MAX_PLAN_LENGTH,
    PLAN_PATTERN,
)


def _post(settings: Settings) -> Schema:
    return {
        "operationId": "post",
        "summary": "Store a message",
        "description": "Answered when the message is durable. Same key and payload: the first answer again.",
        "parameters": [
            _header(
                "Idempotency-Key",
                "`<run id>-<index>` or any other text; without it each POST is stored.",
                MAX_KEY,
                _PRINTABLE,
            ),
            _header("Traffic-Worker", "The sender.", MAX_WORKER, _PRINTABLE),
            *([_MISBEHAVE] if settings.misbehave_header else []),
        ],
        "requestBody": {"required": True, "content": _json("Payload")},
        "responses": {
            "201": {
                "description": "Stored, now or earlier.",
                "headers": {
                    "Location": {"schema": {"type": "string"}},
                    "Idempotency-Replayed": {
                        "schema": {"const": "true"},
                        "description": "The key was known: this is the first answer.",
                    },
                },
                "content": _json("Message"),
                "links": _TO_MESSAGE,
            },
            "400": _problem("The body is not JSON in UTF-8, or a header cannot be used."),
            "408": _problem(f"The body was not complete after {settings.body_timeout:g} s."),
            "413": _problem(f"The body is larger than {settings.max_body} bytes."),
            "415": _problem("The Content-Type is not JSON."),
            "422": _problem("Not of the shape, or the key was used with another payload."),
            "503": _DOWN,
            **_fault_answers(settings),
        },
    }


def _fault_answers(settings: Settings) -> Schema:
    """Return the answers that faults add to a POST's own, if faults may be asked for."""
    if not settings.misbehave_header and settings.misbehave is NO_FAULTS:
        return {}
    more = {"Retry-After": {**_RETRY_AFTER["Retry-After"], "description": "Also if a fault asked for it."}}
    return {status: _problem("Any error, if a fault asked for it.", headers=more) for status in ("4XX", "5XX")}


def _get(operation: str, summary: str, answer: str, parameters: list[Schema], **others: Schema) -> Schema:
    responses = {"200": {"description": summary, "content": _json(answer)}, **others, "503": _DOWN}
    return {"operationId": operation, "summary": summary, "parameters": parameters, "responses": responses}


def _newest() -> Schema:
    operation = _get(
        "newest",
        "The newest messages",
        "List",
        [
            _query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
            _query("before", "Older than the message with this id.", {"type": "string", "minLength": 1}),
        ],
        **{"400": _problem("A parameter cannot be used.")},
    )
    operation["responses"]["200"]["content"]["text/html"] = {"schema": {"type": "string"}}
    return operation


def _metrics() -> Schema:
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "metrics",
        "summary": "The counts since the start",
        "parameters": [],
        "responses": {"200": {"description": "Metrics for Prometheus.", "content": content}},
    }


def description(settings: Settings) -> Schema:
    """Return the whole description."""
    bad = {"400": _problem("A parameter is missing or cannot be used.")}
    absent = {"404": _problem("There is no such message.")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "API stub",
            "version": "1",
            "description": "Stores each message once, and can be audited. Any request can be answered 404 or 405 if"
            " there is no such path or method, 408 or 431 if its head is late or larger than 64 KiB, and 503 if too"
            " many connections are open.",
        },
        "paths": {
            "/": {"post": _post(settings), "get": _newest()},
            "/messages/{id}": {"get": _get("message", "One message, whole", "Message", [_ID], **absent)},
            "/messages": {
                "get": _get(
                    "keyed",
                    "The message stored under a key",
                    "Message",
                    [_query("key", "An Idempotency-Key.", _TEXT, required=True)],
                    **bad,
                    **absent,
                )
            },
            "/audit": {
                "get": _get(
                    "audit",
                    "What is stored of a run",
                    "Audit",
                    [_query("run", "A run id.", _TEXT, required=True)],
                    **bad,
                )
            },
            "/metrics": {"get": _metrics()},
            "/healthz": {"get": _get("health", "Whether a POST would be stored now", "Health", [])},
        },
        "components": {"schemas": _schemas()},
    }
