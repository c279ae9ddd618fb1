"""The worker's side of the protocol: the records it has leased, and what it reports of them."""
