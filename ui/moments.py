"""Times as the visitor's clock shows them, and sizes, durations and shares for reading."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st


def moment(when: datetime) -> str:
    local = when.astimezone(_zone())
    return f"{local.day} {local:%b %Y, %H:%M}"


def _zone() -> tzinfo:
    """The browser's zone; UTC where it does not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def duration(value: float) -> str:
    """Seconds in the two largest units that say something."""
    whole = max(round(value), 0)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def size(count: int) -> str:
    """Bytes in the largest unit that keeps a digit before the point."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def counted(number: int, noun: str) -> str:
    """`1 page`, `3 pages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
