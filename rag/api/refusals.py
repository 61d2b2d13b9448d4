"""The error tree as HTTP: `{"error": code, "message": ...}` with a status for each branch."""

from __future__ import annotations

import logging
import math
import secrets

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from rag import errors
from rag.wire import error_json

log = logging.getLogger("attest.api")

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
    (errors.Unavailable, 503),
    (errors.ModelError, 503),
)


class Refusal(BaseModel):
    """What every refused request gets. `error` is stable; `message` says what to do."""

    error: str
    message: str


def status_of(error: errors.AttestError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


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
        return JSONResponse(error_json(error), status, headers)

    @app.exception_handler(RequestValidationError)
    def not_as_described(request: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        return JSONResponse(error_json(errors.BadInput(said[:2000])), 422)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 413: "limit_exceeded"}.get(error.status_code, "bad_input")
        content = {"error": code, "message": str(error.detail)}
        return JSONResponse(content, error.status_code, error.headers)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        number = secrets.token_hex(4)
        log.exception("%s %s: failure %s", request.method, request.url.path, number, exc_info=error)
        message = f"something went wrong that should not; the API's log has it as failure {number}"
        return JSONResponse({"error": "internal_error", "message": message}, 500)
