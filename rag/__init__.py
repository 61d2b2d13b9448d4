"""Attest: answers from an organisation's own documents, every sentence cited and checked."""
