"""The secret of the tests' masters and workers."""

SECRET = "a secret of the tests, of 40 characters."
