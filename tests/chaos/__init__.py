"""Real processes, faults at random, and a checker that trusts none of our own counters."""
