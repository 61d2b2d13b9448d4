"""`attest tune`: from questions to a registered, measured and, by a gate, promoted adapter."""
