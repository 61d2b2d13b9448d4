"""The language of a text, by py3langid (Lui and Baldwin, langid.py, 2012), offline."""

from __future__ import annotations

import threading
from itertools import islice

import py3langid

_SAMPLES = 8  # pieces of a long text, spread over it
_PIECE = 2_000  # characters
_LEAST = 60  # letters below which nothing is said
_lock = threading.Lock()  # the model is read at the first call


def language_of(text: str) -> str:
    """ISO 639-1, "zxx" for what is no language, "" where there is too little text to tell."""
    sample = _sample(text)
    if len(list(islice(filter(str.isalpha, sample), _LEAST))) < _LEAST:
        return ""
    with _lock:
        code, _ = py3langid.classify(sample)
    return str(code)


def _sample(text: str) -> str:
    if len(text) <= _SAMPLES * _PIECE:
        return text
    step = (len(text) - _PIECE) // (_SAMPLES - 1)
    return "\n".join(text[at * step : at * step + _PIECE] for at in range(_SAMPLES))
