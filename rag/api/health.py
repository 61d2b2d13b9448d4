"""Whether the API and what it rests on are well. Open to all, so it names parts and no details."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter

from rag.api.parts import Here
from rag.errors import AttestError
from rag.views import Health

router = APIRouter(tags=["health"])


@router.get("/health")
def health(here: Here) -> Health:
    parts = {"store": _store(here)}
    status = "ok" if set(parts.values()) == {"ok"} else "degraded"
    return Health(status, version("attest-rag"), here.settings.sign_in, parts)


def _store(here: Here) -> str:
    try:
        with here.attest.store() as work:
            work.audit.entries(limit=1)
    except AttestError as exc:
        return exc.code
    return "ok"
