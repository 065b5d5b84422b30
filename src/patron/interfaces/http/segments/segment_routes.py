"""Saved segments for programs: read with a read key; saved, and their members listed, with a secret key."""

from patron.answers.segments.saved_segments import (
    compare_segments,
    count_rule,
    list_segments,
    segment_names,
    show_segment,
)
from patron.commands.segments.export_segment import list_members
from patron.commands.segments.save_segment import save_segment_rule
from patron.interfaces.http.operation_routes import operation_routes

router = operation_routes(
    list_segments, segment_names, count_rule, show_segment, compare_segments, list_members, save_segment_rule
)
