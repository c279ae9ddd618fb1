"""The master's process: Locust's messages in, decisions out, a run's life from its start to its report."""
