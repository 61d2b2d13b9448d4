"""Our Transformer as the core sees it: what it raises is raised as ours."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence

from models.attribution import Sentence
from models.generator import TransformerGenerator, WarmingEnd
from models.piece import Piece
from models.sampling import Settings
from rag.model_errors import model_errors


class OwnReader(TransformerGenerator):
    def generate(
        self, passages: Sequence[str], question: str, sampling: Settings, keep: bool = True
    ) -> Generator[Piece]:
        with model_errors():
            yield from super().generate(passages, question, sampling, keep)

    def drops(
        self, passages: Sequence[str], question: str, sentences: Sequence[Sentence]
    ) -> list[tuple[float, ...]]:
        with model_errors():
            return super().drops(passages, question, sentences)

    def warm(self, texts: Iterable[str], stop: Callable[[], bool]) -> tuple[int, WarmingEnd]:
        with model_errors():
            return super().warm(texts, stop)
