"""Text in, text or arrays out. Knows no documents and no SQL, and imports no other package here."""
