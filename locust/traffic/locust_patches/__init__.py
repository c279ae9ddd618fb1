"""What is changed in Locust itself: one function for each flaw, listed in docs/locust-flaws.md.

A cure is a public function whose docstring ends with "Needed for Locust" and the versions in which the flaw was found:
go through these functions when Locust is upgraded. Everything else here serves them. `install` applies the cures that
need only the process or its runner; `master.locust_session` and `worker.worker` call the others at their moment.

`defaults` changes settings and constants, `membership` which workers the master lists, `rebalancing` when it shares
users out, `ending` how a test ends, `worker_tests` how a worker begins and ends tests, `web_ui` the web routes,
`frames` and `message_checks` what is read from the sockets, `connecting` what a worker logs that finds no master,
`parser` the parser. `states` has the names of Locust's states.
"""
