"""The worker's process. Empty, because the health check must not import Locust."""
