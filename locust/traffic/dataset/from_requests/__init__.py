"""Recorded requests become records: lines of requests, HAR, .gor, and access logs; and bodies whose path is a template.

Each format's module reads its file and says what each request was; `builder` decides what of it is sent again, and
makes the record. `convert` drives both, and notes what was left out. `from_bodies` gives bodies a template's paths.
"""
