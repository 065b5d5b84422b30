"""The command line of insight: results of a run, the brief, the mail digest.

`result_commands` has a command for each result of a run, such as `patron report`, `patron brief` and `patron scores`;
`render_brief` prints the brief.
`digest_commands` is `patron digests`; `due_digests` is the process that `patron serve` starts to send them.
"""
