"""The API of segments: rules, counts, members.

`segment_routes`.
"""
