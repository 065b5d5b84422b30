"""Accepted requests are durable here until compaction has moved them into the lake.

Write: `inbox_writer` shares one commit among requests that arrive together; `inbox` is what all callers use, and
`event_ids` every id that ever arrived.
Move: `compaction` into the lake, exactly once; `pending_sources` whose events may be there already.
Where: `workspace_inbox` opens it, over an `inbox_backend`: `inbox_sqlite` or `inbox_postgres`.
Safety: `inbox_seal` hides what waits, and reveals every changed bit.
"""
