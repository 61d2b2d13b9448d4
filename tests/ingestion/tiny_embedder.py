"""A real sentence-transformers folder with a tiny random BERT: for workers that run as processes
of their own, where no weights need to be pulled."""

from __future__ import annotations

from pathlib import Path

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_embedder(folder: Path, width: int = 32) -> Path:
    """Whose vectors have `width` numbers."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    vocabulary = MARKS + letters + [f"##{letter}" for letter in letters]
    plain = folder / "plain"
    plain.mkdir(parents=True)
    (plain / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
    tokenizer = BertTokenizerFast(vocab=str(plain / "vocab.txt"), do_lower_case=True)
    tokenizer.save_pretrained(plain)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    BertModel(config).save_pretrained(plain)
    transformer = modules.Transformer(str(plain), max_seq_length=256)
    pooling = modules.Pooling(transformer.get_embedding_dimension())
    made = folder / "tiny-embedder"
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(made))
    return made
