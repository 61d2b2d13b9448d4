"""What the settings decide of an answer: how many passages, how sure, how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rag.confidence import Confidence
from rag.domain import MetadataValue, Sampling
from rag.ports import Generator
from rag.reading import Limits


@dataclass(frozen=True, slots=True)
class Policy:
    """What is decided by settings. `min_confidence` None: what the collection was calibrated to,
    else what the reader's weights ask for."""

    passages: int
    candidates: int
    min_support: float
    min_confidence: float | None
    max_question_characters: int
    sampling: Sampling

    def allowed(self, sampling: Sampling | None) -> Sampling:
        """What was asked for, but never more tokens than the settings give an answer."""
        if sampling is None:
            return self.sampling
        return replace(sampling, max_tokens=min(sampling.max_tokens, self.sampling.max_tokens))

    def limits(self, reader: Generator, tuned: Mapping[str, MetadataValue]) -> Limits:
        """`tuned`: the settings of the collection. A calibration is of one model and adapter."""
        of_reader = {f"confidence_{k}": v for k, v in reader.confidence.items()}
        known: Mapping[str, object] = {"min_confidence": reader.min_confidence} | of_reader
        if tuned.get("calibrated_for") == calibrated_for(reader):
            known = tuned
        least, forced = known["min_confidence"], self.min_confidence
        return Limits(
            self.min_support,
            float(str(least)) if forced is None else forced,
            Confidence.from_settings(known) or Confidence(),
        )


def calibrated_for(reader: Generator) -> str:
    """Weights under which a calibration holds."""
    return f"{reader.model} {reader.adapter} {reader.prompt_version}"
