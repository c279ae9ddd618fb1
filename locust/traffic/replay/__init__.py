"""The replay user: records to an HTTP/1.1 API at the price of the system calls.

`http` turns a record into bytes and a head into its meaning, `answers` reads answers piece by piece, `address` knows
where the API is, `tls` encrypts, `connection` is one socket, `seat` is one user's place, `engine` what the users of a
worker share, `stats` keeps Locust's statistics, `user` is the class that a locustfile names.
"""
