"""One module, one rule at a time: quick, and without a process, a worker or a run."""
