"""Files become events: read, mapped, validated, loaded a chunk at a time.

`file_import` is the whole of `patron import`, one `import_job` in progress; `import_preview` does it without writing.
Files: `file_reader` reads chunks of CSV, JSON lines and Parquet; `file_kinds` names what is none of them,
`file_limits` what is too much; `file_head` is what a sandbox reads of a file that somebody sent.
Mappings: `mapping` is what one says, `mapping_checks` finds what is wrong with it, `mapping_sql` makes the SELECT;
`recognise_mapping` finds the one that fits a file.
"""
