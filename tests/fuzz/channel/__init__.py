"""Odd frames at the workers' port."""
