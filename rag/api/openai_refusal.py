"""Refusals in the form that OpenAI's clients read."""

from __future__ import annotations

from rag.wire import Json

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# Where OpenAI has a name that its clients look for.
CODES = {
    "not_signed_in": "invalid_api_key",
    "unknown_collection": "model_not_found",
    "busy": "rate_limit_exceeded",
}


def refusal_json(
    status: int, code: str, message: str, parameter: str | None = None
) -> dict[str, Json]:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Json] = {
        "message": message,
        "type": kind,
        "param": parameter,
        "code": CODES.get(code, code),
    }
    return {"error": error}
