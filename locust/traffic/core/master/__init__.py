"""The master's side of the protocol: who has which records, what became of each, and what is to be said of it."""
