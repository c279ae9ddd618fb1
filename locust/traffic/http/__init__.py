"""An HTTP/1.1 client for replay users, at the price of the system calls.

`http1` turns a record into bytes and a head into its meaning, `response_reader` reads answers piece by piece,
`resolver` knows where the API is, `connector` makes a connection, `tls` encrypts, `connection` is one socket, and
`endpoint` what the connections to one API share. `scheme_mismatch` recognizes a port of the other scheme.
"""
