"""What a locustfile subclasses: users that send records and report each outcome.

`source` is where records come from, `base` what every user of records shares, `record_user` a user on Locust's
FastHttpUser. A `replay_user` has our own client: a `continuous_sender` without tasks, a `task_sender` with tasks; what
both do is in `sender`, and one `dispatcher` serves all senders of a worker. `request_plan` is what the requests of a
class share, `request_maker` makes them, and `stats` keeps Locust's statistics.
"""
