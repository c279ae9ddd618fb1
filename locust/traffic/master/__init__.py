"""The master's process: reads Locust's messages, carries out decisions, and leads a run from start to report."""
