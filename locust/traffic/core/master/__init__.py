"""The master's side of the protocol: who holds which records, what became of each, and how that is reported."""
