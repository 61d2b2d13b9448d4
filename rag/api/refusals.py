"""The error tree as HTTP: `{"error": code, "message": ...}` with a status for each branch, and
under /v1 the form that OpenAI's clients read."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from rag import errors
from rag.api.openai_refusal import refusal_json
from rag.wire import Json, error_json

log = logging.getLogger("attest.api")
HUNG_UP = 499  # as nginx has it; nobody reads it but the metrics

# The first line that matches wins, so leaves stand before their branch.
STATUS: tuple[tuple[type[errors.AttestError], int], ...] = (
    (errors.LimitExceeded, 413),
    (errors.UnsupportedType, 415),
    (errors.BadInput, 422),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.NotPermitted, 403),
    (errors.NotSignedIn, 401),
    (errors.DiskFull, 507),
    (errors.Busy, 429),
    (errors.Unavailable, 503),
    (errors.ModelError, 503),
)


class Refusal(BaseModel):
    """What every refused request gets. `error` is stable; `message` says what to do."""

    error: str
    message: str
    retry_after: float | None = None  # seconds, with 429


def status_of(error: errors.AttestError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def refusal(
    path: str,
    status: int,
    form: Mapping[str, Json],
    headers: Mapping[str, str] | None = None,
    parameter: str | None = None,
) -> JSONResponse:
    """The reply to a request for `path`; `form` as `error_json` makes it."""
    if not f"{path}/".startswith("/v1/"):
        return JSONResponse(form, status, headers)
    status = 400 if status == 422 else status
    told = refusal_json(status, str(form["error"]), str(form["message"]), parameter)
    return JSONResponse(told, status, headers)


def add_refusals(app: FastAPI) -> None:
    @app.exception_handler(errors.AttestError)
    def attest_error(request: Request, error: errors.AttestError) -> JSONResponse:
        headers = {}
        if isinstance(error, errors.Busy):
            headers["Retry-After"] = str(math.ceil(error.retry_after))
        if isinstance(error, errors.NotSignedIn):
            headers["WWW-Authenticate"] = "Bearer"
        status = status_of(error)
        if status >= 500:
            log.warning("%s %s: %s: %s", request.method, request.url.path, error.code, error)
        parameter = getattr(error, "parameter", None)
        return refusal(request.url.path, status, error_json(error), headers, parameter)

    @app.exception_handler(RequestValidationError)
    def not_as_described(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()
        said = "; ".join(f"{_place(each['loc'])}: {each['msg']}" for each in problems)
        form = error_json(errors.BadInput(said[:2000]))
        first = _place(problems[0]["loc"][1:]) if problems else None
        return refusal(request.url.path, 422, form, parameter=first)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 413: "limit_exceeded"}.get(error.status_code, "bad_input")
        form: dict[str, Json] = {"error": code, "message": str(error.detail)}
        return refusal(request.url.path, error.status_code, form, error.headers)

    @app.exception_handler(ClientDisconnect)
    def hung_up(request: Request, error: ClientDisconnect) -> Response:
        log.info("%s %s: the client hung up", request.method, request.url.path)
        return Response(status_code=HUNG_UP)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        number = secrets.token_hex(4)
        log.exception("%s %s: failure %s", request.method, request.url.path, number, exc_info=error)
        message = f"something went wrong that should not; the API's log has it as failure {number}"
        return refusal(request.url.path, 500, {"error": "internal_error", "message": message})


def _place(parts: tuple[str | int, ...]) -> str:
    return ".".join(map(str, parts))
