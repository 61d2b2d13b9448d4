"""The engine: many answers written at once by one Transformer, over passages whose keys and values
are kept. Knows token ids and weights; not text, documents or users.
"""
