"""How a server of ours listens, whatever it answers."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI


def listen(app: FastAPI, host: str, port: int) -> None:
    """Until it is told to stop."""
    # Forwarded-for headers are not believed: the peer's address is the peer's address.
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,  # seconds; answers being written are cut then
    )
