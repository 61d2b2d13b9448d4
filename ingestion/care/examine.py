"""What a parsed document is examined for before it is chunked, and what is done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ingestion.care.instructions import instructions
from ingestion.care.language import language_of
from ingestion.care.legibility import NO_LANGUAGE, legibility
from ingestion.care.personal import hidden, personal
from rag.domain import Block, Finding, Findings, MetadataValue, Parsed, PersonalPolicy
from rag.errors import RefusedContent

PLACES = 100  # of each kind of finding that are kept with the version
_NAMED = 10  # pages that a refusal names for each kind


@dataclass(frozen=True, slots=True)
class Examined:
    """`parsed` as it may be stored under the policy; its language is among the metadata."""

    parsed: Parsed
    findings: Findings


def examine(parsed: Parsed, policy: PersonalPolicy) -> Examined:
    """Raises RefusedContent when the policy is REFUSE and there is personal data."""
    text = parsed.text
    language = language_of(text)
    legible = legibility(text, parsed.blocks, language)
    language = "" if language == NO_LANGUAGE else language
    found = personal(text, language)
    around = {key: personal(value, language) for key, value in _around(parsed).items()}
    counts = Counter(one.detail for one in found)
    counts.update(one.detail for places in around.values() for one in places)
    if counts and policy is PersonalPolicy.REFUSE:
        raise RefusedContent(_reason(parsed, found, around))
    orders = instructions(text)
    findings = Findings(
        policy=policy,
        personal=dict(sorted(counts.items())),
        instructions=len(orders),
        noise=len(legible.noise),
        language=language,
        surprise=None if legible.surprise is None else round(legible.surprise, 2),
        places=tuple(
            replace(one, page=page_of(parsed.blocks, one.start))
            for kind in (found, orders, legible.noise)
            for one in kind[:PLACES]
        ),
    )
    if policy is PersonalPolicy.MASK:
        parsed = _masked(parsed, found, around)
    if language and "language" not in parsed.metadata:
        parsed = replace(parsed, metadata={**parsed.metadata, "language": language})
    return Examined(parsed, findings)


def page_of(blocks: Sequence[Block], offset: int) -> int | None:
    """The page on which the block around an offset stands."""
    low, high = 0, len(blocks)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if blocks[middle].end <= offset else (low, middle)
    return blocks[low].page if low < len(blocks) else None


_TITLE = ""  # no metadata is called so


def _around(parsed: Parsed) -> dict[str, str]:
    """The texts beside the text: the title and the file's own metadata."""
    texts = {key: value for key, value in parsed.metadata.items() if isinstance(value, str)}
    return {_TITLE: parsed.title, **texts}


def _masked(
    parsed: Parsed, found: Sequence[Finding], around: Mapping[str, Sequence[Finding]]
) -> Parsed:
    metadata: dict[str, MetadataValue] = {
        key: hidden(value, around[key]) if isinstance(value, str) else value
        for key, value in parsed.metadata.items()
    }
    title = hidden(parsed.title, around[_TITLE])
    return replace(parsed, text=hidden(parsed.text, found), title=title, metadata=metadata)


def _reason(
    parsed: Parsed, found: Sequence[Finding], around: Mapping[str, Sequence[Finding]]
) -> str:
    """Which kinds, how many and where; never the words."""
    where: dict[str, list[str]] = {}
    for one in found:
        page = page_of(parsed.blocks, one.start)
        line = parsed.text.count("\n", 0, one.start) + 1
        where.setdefault(one.detail, []).append(f"line {line}" if page is None else f"page {page}")
    for key, places in around.items():
        for one in places:
            where.setdefault(one.detail, []).append(f"metadata {key!r}" if key else "the title")
    said = "; ".join(f"{len(at)} {kind} ({_places(at)})" for kind, at in sorted(where.items()))
    return (
        f"it holds personal data, which this collection refuses: {said}. Take them out of the file "
        "and hand it in again, or have whoever manages the collection set its policy to mask or "
        "allow"
    )


def _places(at: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(at))
    more = f" and {len(distinct) - _NAMED} more" if len(distinct) > _NAMED else ""
    return ", ".join(distinct[:_NAMED]) + more
