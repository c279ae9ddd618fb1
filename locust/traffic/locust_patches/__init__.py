"""What is changed in Locust itself; docs/locust-flaws.md says why."""
