"""Imports Locust without its monkey-patching, which is for a process of its own and not for the tests'."""

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
import locust  # noqa: F401 - what is set above counts at the first import

del os.environ["LOCUST_SKIP_MONKEY_PATCH"]  # real Locusts that other tests start are to patch themselves
