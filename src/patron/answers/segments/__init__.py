"""What people ask about segments: who is in them, what is at stake, how customers move.

Saved: `saved_segments` with versions and overlaps; `rule_choices` are values that a rule can be compared with.
Of every run: `segments_overview` (lifecycle stages, personas, value), `stage_values` (money and moves of a stage).
"""
