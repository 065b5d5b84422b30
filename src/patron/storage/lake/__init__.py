"""The lake: Delta tables that are durable once written, read as snapshots.

Use: `lake` reads and writes; `parquet_rows` is a snapshot as SQL.
Write: `lake_amendment` writes only what changed, `lake_erasure` removes rows from every version.
Log: `lake_log` reads commits, `lake_checkpoint` shortens them.
Safety: `lake_record` is the hash of every file, in the store; `lake_verification` asks it at every read and write,
`lake_inspection` finds all damage for the doctor.
"""
