"""The replay user: records to an HTTP/1.1 API at the price of the system calls.

`http` turns a record into bytes and a head into its meaning, `answers` reads answers piece by piece, `address` knows
where the API is, `tls` encrypts, `connection` is one socket, `place` what one user does with a record: in a `seat`, if
it does nothing but replay, or by an `errand`, if it has tasks; `engine` what the users of a worker share, `stats` keeps
Locust's statistics, `user` is the class that a locustfile names.
"""
