"""Text that looks like an order to the model rather than words for its readers.

A flag for people: nothing is blocked by it, and nothing relies on it; that passages are data and
never instructions is the reader's and the decoder's work. English and German wordings are known.
Words that a sentence quotes, or speaks about, are not its own order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.domain import Finding, FindingKind

_FLAGS = re.IGNORECASE | re.MULTILINE
# Where an order begins: a sentence, a clause after a comma or colon, or after please, you must, ...
_ORDER = (
    r"(?:^|[.!?:;,>\])-][ \t]*|\b(?:please|now|then|and|or|you|must|should|shall|to|bitte|jetzt|"
    r"und|sie)[ \t]+)"
)
_DROP = r"(?:ignore|disregard|forget|override|bypass|ignorieren?|ignoriere|vergiss|missachten?)"
_TOLD = (
    r"(?:instructions?|guidelines|directions|prompts?|question|passages|context|orders|rules"
    r"|anweisung(?:en)?|vorgaben|regeln|befehle|frage)"
)
_WHICH = (
    r"(?:previous|prior|above|earlier|preceding|your|system|all other"
    r"|vorherigen|bisherigen|obigen|deine|ihre|vorigen)"
)
_MODEL = (
    r"(?:an? (?:AI|LLM|(?:large )?language model|chatbot)|AI (?:assistant|model)s?"
    r"|(?:the |an? )?(?:assistant|language model|LLM|chatbot)|(?:eine? )?(?:KI|Sprachmodell))"
)
_SAY = (
    r"(?:answer|reply|respond|say|says|write|print|output|state|tell|recommend|disregard|ignore"
    r"|antworte|schreibe?|sage?|gib|empfiehl)"
)
_WHATEVER = r"\bwhatever (?:is|it was|it is|you are|the user) (?:asked|asks)\b"
_WORDINGS = (
    ("sets instructions aside", rf"{_ORDER}{_DROP}\b[^.!?\n]{{0,20}}\b{_WHICH}\b"
                                rf"[^.!?\n]{{0,20}}\b{_TOLD}\b"),
    ("sets instructions aside", rf"{_ORDER}{_DROP} (?:the|this) {_TOLD} (?:above|before)\b"),
    ("sets instructions aside", rf"{_ORDER}{_DROP}\b[^.!?\n]{{0,30}}\byou were told\b"),
    ("speaks as the system", r"^[ \t#>*]*\[?\**(?:system(?: override| prompt)?|assistant"
                             rf"|instruction)\**\]?[ \t]*[:\]][^.!?\n]{{0,80}}\b{_SAY}\b"),
    ("speaks as the system", r"\b(?:SYSTEM OVERRIDE|OVERRIDE SYSTEM)\b"),
    ("speaks as the system", r"<\|(?:im_start|im_end|system|endoftext)\|>|\[/?INST\]|<</?SYS>>"),
    ("speaks as the system", r"</(?:passages?|context|system|instructions|documents?)>"),
    ("speaks to the model", rf"\b(?:if you are|as|note to|attention,?|dear|to) {_MODEL}\b"
                            rf"[^.!?\n]{{0,20}}[,:][^.!?\n]{{0,60}}\b{_SAY}\b"),
    ("speaks to the model", rf"\b{_MODEL} (?:that|who|which) (?:reads?|sees?|processes)"
                            rf"[^.!?\n]{{0,40}}\b{_SAY}\b"),
    ("speaks to the model", r"(?:^|[.!?:][ \t]*)you are now (?:an? |in )\w+"
                            r"|du bist (?:jetzt|nun) ein"),
    ("dictates the answer", rf"\b{_SAY}\b[^.!?\n]{{0,60}}{_WHATEVER}"),
    ("dictates the answer", rf"{_WHATEVER}[^.!?\n]{{0,20}}\b(?:{_SAY}|answer is)\b"),
    ("dictates the answer", rf"\b{_SAY}\b[^.!?\n]{{0,60}}\bto (?:any|every|all) (?:quer(?:y|ies)"
                            r"|questions?)\b"),
    ("dictates the answer", r"\b(?:only acceptable (?:response|answer)|the (?:correct )?answer to "
                            r"every question|your (?:final )?answer must be)\b"),
    ("dictates the answer", rf"{_ORDER}do not answer the (?:question|user)\b"),
    ("dictates the answer", r"\bnew task: "),
    ("dictates the answer", r"^[ \t#]*instruction:[^\n]{0,80}\bnothing else\b"),
    ("dictates the answer", r"\bas your (?:final|only) answer\b"
                            r"|\bfrom now on,? (?:reply|respond|answer)"),
    ("dictates the answer", r"antworte (?:immer|nur|stets|auf jede)"),
    ("asks for the prompt", rf"{_ORDER}(?:reveal|print|show|repeat|output)\b[^.!?\n]{{0,20}}"
                            r"\byour (?:system )?(?:prompt|instructions)\b"),
)  # fmt: skip
_DROPS = ("ignor", "disregard", "forget", "override", "bypass", "vergiss", "missacht")
_MODELS = (" ai", " llm", "language model", "chatbot", "assistant", " ki", "sprachmodell")
_DOES = ("read", "see", "process")
_READERS = tuple(f"{who} {does}" for who in ("that", "who", "which") for does in _DOES)
# Of the words that stand here for each of the wordings, in their order, a text must hold one: most
# texts hold none, and are not searched any further.
_NEEDED: tuple[tuple[str, ...], ...] = (
    _DROPS,
    _DROPS,
    ("you were told",),
    ("system", "assistant", "instruction"),
    ("override",),
    ("<|", "inst]", "sys>>"),
    ("</",),
    _MODELS,
    _READERS,
    ("you are now", "du bist"),
    ("whatever",),
    ("whatever",),
    ("to any", "to every", "to all"),
    ("only acceptable", "answer to every", "answer must be"),
    ("do not answer",),
    ("new task: ",),
    ("instruction:",),
    ("as your", "from now on"),
    ("antworte",),
    ("your prompt", "your system", "your instructions"),
)
_PATTERNS = tuple(
    (detail, needed, re.compile(pattern, _FLAGS))
    for (detail, pattern), needed in zip(_WORDINGS, _NEEDED, strict=True)
)
_LETTERS = str.maketrans("İıſ", "iis")  # what a pattern that ignores case takes for them
_OPENING, _CLOSING = '"“„«‘`', '"”“»’`'
_REACH = 200  # characters that a quotation around the words may begin before them


def instructions(text: str) -> list[Finding]:
    """The places, in order; those that overlap are one."""
    found: list[Finding] = []
    for start, end, detail in sorted(_hits(text)):
        if found and start < found[-1].end:
            continue
        found.append(Finding(FindingKind.INSTRUCTION, detail, start, end))
    return found


def _hits(text: str) -> Iterator[tuple[int, int, str]]:
    plain = text.translate(_LETTERS).lower()
    for detail, needed, pattern in _PATTERNS:
        if not any(word in plain for word in needed):
            continue
        for match in pattern.finditer(text):
            start = match.start() + re.match(r"[\W_]*", match[0]).end()  # type: ignore[union-attr]
            if not _quoted(text, match.start(), match.end()):
                yield min(start, match.end() - 1), match.end(), detail


def _quoted(text: str, start: int, end: int) -> bool:
    """Whether the words stand in quotation marks inside a sentence that begins before them."""
    line = text.rfind("\n", 0, start + 1) + 1
    before = text[max(line, start - _REACH) : start + 1]
    for opening, closing in zip(_OPENING, _CLOSING, strict=True):
        at = before.rfind(opening)
        if at < 0 or (opening == closing and before.count(opening) % 2 == 0):
            continue
        spoken_of = any(c.isalpha() for c in before[:at])
        closed = text.find(closing, start + 1, end + _REACH) >= 0
        if spoken_of and closed and closing not in before[at + 1 :]:
            return True
    return False
