"""National identification numbers of persons: how they are written, and what makes one valid.

The check digits are `stdnum`'s. A number of digits alone also needs a word before it that says what
it is, since one number in ten passes any check digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import stdnum.be.nn
import stdnum.br.cpf
import stdnum.ch.ssn
import stdnum.cz.rc
import stdnum.de.idnr
import stdnum.dk.cpr
import stdnum.es.dni
import stdnum.es.nie
import stdnum.fi.hetu
import stdnum.fr.nir
import stdnum.gb.nhs
import stdnum.it.codicefiscale
import stdnum.nl.bsn
import stdnum.no.fodselsnummer
import stdnum.pl.pesel
import stdnum.pt.cc
import stdnum.se.personnummer
import stdnum.us.itin
import stdnum.us.ssn

_NAMED_WITHIN = 40  # characters before a number in which its name must stand


@dataclass(frozen=True, slots=True)
class National:
    """`named`: a pattern of words one of which must stand shortly before; None where the form
    tells enough."""

    country: str
    form: re.Pattern[str]
    valid: Callable[[str], bool]
    named: re.Pattern[str] | None = None

    def holds(self, text: str, start: int, end: int) -> bool:
        before = text[max(0, start - _NAMED_WITHIN) : start]
        if self.named is not None and not self.named.search(before):
            return False
        return self.valid(text[start:end])


_NINO = re.compile(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][\d ]+[A-D]")


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.,/-])(?:{pattern})(?![\w/-]|[.,]\d)")


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})", re.IGNORECASE)


NATIONAL = (
    National("US", _form(r"\d{3}-\d{2}-\d{4}"), stdnum.us.ssn.is_valid),
    National("US", _form(r"9\d{2}-\d{2}-\d{4}"), stdnum.us.itin.is_valid),
    National(
        "US",
        _form(r"\d{9}|\d{3} \d{2} \d{4}"),
        stdnum.us.ssn.is_valid,
        _named("ssn|social security"),
    ),
    National(
        "DE",
        _form(r"\d{11}|\d{2} \d{3} \d{3} \d{3}"),
        stdnum.de.idnr.is_valid,
        _named("steuer-?id|idnr|id-?nr|steuerliche id|identifikations-?n|tax id|tin\b"),
    ),
    National(
        "GB",
        _form(r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]"),
        lambda number: _NINO.fullmatch(number) is not None,
    ),
    National("GB", _form(r"\d{3} ?\d{3} ?\d{4}"), stdnum.gb.nhs.is_valid, _named("nhs")),
    National(
        "FR", _form(r"[12] ?\d{2} ?\d{2} ?\w{2} ?\d{3} ?\d{3} ?\d{2}"), stdnum.fr.nir.is_valid
    ),
    National("ES", _form(r"\d{8}-?[A-Z]"), stdnum.es.dni.is_valid),
    National("ES", _form(r"[XYZ]-?\d{7}-?[A-Z]"), stdnum.es.nie.is_valid),
    National(
        "IT",
        _form(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]"),
        stdnum.it.codicefiscale.is_valid,
    ),
    National(
        "NL",
        _form(r"\d{9}|\d{4}\.\d{2}\.\d{3}"),
        stdnum.nl.bsn.is_valid,
        _named("bsn|burgerservice"),
    ),
    National("BE", _form(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}"), stdnum.be.nn.is_valid),
    National("CH", _form(r"756\.\d{4}\.\d{4}\.\d{2}"), stdnum.ch.ssn.is_valid),
    National("PL", _form(r"\d{11}"), stdnum.pl.pesel.is_valid, _named("pesel")),
    National("SE", _form(r"(?:\d{2})?\d{6}[-+]\d{4}"), stdnum.se.personnummer.is_valid),
    National("FI", _form(r"\d{6}[-+A-FU-Y]\d{3}[\dA-Y]"), stdnum.fi.hetu.is_valid),
    National(
        "DK", _form(r"\d{6}-?\d{4}"), stdnum.dk.cpr.is_valid, _named("cpr|personnummer|person-?nr")
    ),
    National(
        "NO",
        _form(r"\d{6} ?\d{5}"),
        stdnum.no.fodselsnummer.is_valid,
        _named("fødsels|personnummer"),
    ),
    National("PT", _form(r"\d{8} ?\d ?[A-Z]{2}\d"), stdnum.pt.cc.is_valid),
    National("BR", _form(r"\d{3}\.\d{3}\.\d{3}-\d{2}"), stdnum.br.cpf.is_valid),
    National("CZ", _form(r"\d{6}/\d{3,4}"), stdnum.cz.rc.is_valid, _named("rodné|r\\. ?č")),
)
