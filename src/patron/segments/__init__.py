"""Rules of segments: parsed, checked, compiled to SQL; shared by stages, answers and commands.

`segment_rules` is the typed tree of conditions, `segment_parser` reads it from TOML or JSON.
`segment_fields` is what a rule may name, `segment_sql` makes the query.
Who reads tables with it is `storage.segments`.
"""
