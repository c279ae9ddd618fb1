"""The HTTP API that people first aim at: it stores each message once, and can be audited."""
