"""The rules of a run, as plain data structures.

Nothing here opens a socket, reads a clock or an environment variable, logs, or knows gevent or Locust: time and chance
are arguments. So every rule can be tested in milliseconds, and a simulation can drive both sides of the protocol
through a hostile network.
"""
