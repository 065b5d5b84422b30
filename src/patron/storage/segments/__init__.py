"""Segments as people saved them, and their members by a query over a run.

`segment_definitions` has the versions, `segment_query` the members.
"""
