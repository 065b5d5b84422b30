"""The command line of segments: rules that are saved, versioned and counted.

`segment_commands` is `patron segment`, printed by `render_segments`.
"""
