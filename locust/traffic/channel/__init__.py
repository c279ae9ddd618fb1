"""The channel between master and workers, closed to everybody else: ZeroMQ's CURVE (RFC 26) with one shared secret.

`secret` reads it and derives the keys, `guard` closes a socket and asks each peer for its key, and `refusals` says in
words why a connection was refused, which ZeroMQ by itself does not. Without a secret the channel is Locust's own: open.
"""
