"""CSV becomes records: each row an object, or one of its cells as it stands.

`dialect` decides what stands between the fields, `text` cuts a file into lines and rows, `cells` turns cells into JSON,
and `convert` writes the records.
"""
