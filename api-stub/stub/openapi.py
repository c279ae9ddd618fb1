"""The API's description, OpenAPI 3.1. Rule: it tells the truth; tests hold the running stub against it."""

from typing import Any

from stub.faults import MAX_WORDS, NONE, WORDS
from stub.gaps import MAX_GAPS
from stub.message import MAX_KEY
from stub.post import MAX_WORKER
from stub.settings import Settings
from stub.store import MAX_SHOWN

Schema = dict[str, Any]

_NULLABLE = {"type": ["string", "null"]}
_RECEIVED = {"type": "string", "format": "date-time", "description": "UTC, to the millisecond."}
_COUNTS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
_COUNT = {"type": "integer", "minimum": 0}


def _object(description: str, **members: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": members, "required": list(members)}


_PAYLOAD = _object(
    "Any further members are kept, too.",
    name={"type": "string"},
    msg={"type": "string"},
)
_SUMMARY = _object(
    f"A message in a list: without its payload, its texts cut at {MAX_SHOWN} characters.",
    id={"type": "string"},
    name={"type": "string", "maxLength": MAX_SHOWN},
    msg={"type": "string", "maxLength": MAX_SHOWN},
    clipped={"type": "boolean", "description": "Whether a text was cut."},
    received=_RECEIVED,
    server={"type": "string"},
    worker=_NULLABLE,
    key=_NULLABLE,
)
_MESSAGE = _object(
    "A stored message. `payload` is the JSON that was sent, unchanged.",
    id={"type": "string"},
    name={"type": "string"},
    msg={"type": "string"},
    received=_RECEIVED,
    server={"type": "string", "description": "Host name of the stub that took it."},
    worker={**_NULLABLE, "description": "The request's Traffic-Worker."},
    key={**_NULLABLE, "description": "The request's Idempotency-Key."},
    run={**_NULLABLE, "description": "What stands before the last `-` of a key that ends in `-<index>`."},
    index={"type": ["integer", "null"], "minimum": 0},
    payload={"$ref": "#/components/schemas/Payload"},
)
_LIST = _object(
    "The newest messages first.",
    stored={**_COUNT, "description": "Messages stored, of all runs."},
    messages={"type": "array", "items": {"$ref": "#/components/schemas/Summary"}},
    older={**_NULLABLE, "description": "Where the next page is."},
)
_AUDIT = _object(
    "What is stored of a run. posts = stored + replayed + conflicts: the POSTs that reached the store.",
    run={"type": "string"},
    stored=_COUNT,
    posts=_COUNT,
    replayed=_COUNT,
    conflicts=_COUNT,
    by_server=_COUNTS,
    by_worker=_COUNTS,
    indexes=_object(
        "Which indexes are stored.",
        max={"type": ["integer", "null"], "minimum": 0},
        missing={**_COUNT, "description": "How many below the highest are not stored."},
        missing_below_max={"type": "array", "items": _COUNT, "maxItems": MAX_GAPS},
    ),
)
_HEALTH = _object("The stub can store.", status={"const": "ok"}, server={"type": "string"}, waiting=_COUNT)
_PROBLEM = _object("RFC 9457.", title={"type": "string"}, status={"type": "integer"}, detail={"type": "string"})
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
    "How to hurt this one request, as in `latency=0.1-0.5, error=503@0.1, reset-after@0.02`; `none`: behave. The faults"
    " that end the connection or leave the answer out show no status.",
    MAX_WORDS,
    WORDS,
)


def _post(settings: Settings) -> Schema:
    return {
        "operationId": "post",
        "summary": "Store a message",
        "description": "Answered when the message is durable. Same key and payload: the first answer again.",
        "parameters": [
            _header(
                "Idempotency-Key",
                "`<run id>-<index>`, or any other; without one each POST is stored.",
                MAX_KEY,
                _PRINTABLE,
            ),
            _header("Traffic-Worker", "Who sent it.", MAX_WORKER, _PRINTABLE),
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
            **_hurt(settings),
        },
    }


def _hurt(settings: Settings) -> Schema:
    """Return the answers that misbehaviour adds to a POST's own, where it may be asked for."""
    if not settings.misbehave_header and settings.misbehave is NONE:
        return {}
    more = {"Retry-After": {**_RETRY_AFTER["Retry-After"], "description": "Where it was asked for, too."}}
    return {status: _problem("Any, where it was asked to misbehave.", headers=more) for status in ("4XX", "5XX")}


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
        "summary": "What was counted since the start",
        "parameters": [],
        "responses": {"200": {"description": "As Prometheus reads it.", "content": content}},
    }


def description(settings: Settings) -> Schema:
    """Return the whole description."""
    bad = {"400": _problem("A parameter is missing or cannot be used.")}
    absent = {"404": _problem("There is none.")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "API stub",
            "version": "1",
            "description": "Stores each message once, and can be audited. Whatever is asked for: 404 and 405 for what"
            " is not here, 408 and 431 for a head that is late or past 64 KiB, 503 where too many are connected.",
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
        "components": {
            "schemas": {
                "Payload": _PAYLOAD,
                "Message": _MESSAGE,
                "Summary": _SUMMARY,
                "List": _LIST,
                "Audit": _AUDIT,
                "Health": _HEALTH,
                "Problem": _PROBLEM,
            }
        },
    }
