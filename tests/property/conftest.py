"""Imports Locust without its monkey-patching, which is for a process of its own; gives Hypothesis the time it needs."""

import os

from hypothesis import HealthCheck, settings

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
import locust  # noqa: F401 - what is set above counts at the first import

del os.environ["LOCUST_SKIP_MONKEY_PATCH"]  # real Locusts that other tests start are to patch themselves

# How long an example takes says more of the machine than of the code.
settings.register_profile("traffic", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("traffic")
