"""The worker's side of the protocol: the records it was leased, and what it reports of them."""
