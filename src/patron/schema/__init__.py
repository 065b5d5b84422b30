"""What everyone agrees on: events, tables, questions, metrics, errors and plain types.

Declared once: `events` that a shop sends, `tables` of the lake (of the kind of `table_definition`), questions and
metrics in `models`, codes that rows hold and pages explain in the rooms `access`, `customers`, `data`, `insight`,
`outreach`, `privacy`, and in `recommendation_reasons`.
Refusals: `errors` is the tree of all; `sentences` what they say, by code, `common_sentences` those of several
packages; `spelling` guesses what was meant.
Plain types: `amounts` (integer cents), `numbers` and `frames` (what speaks Arrow), `table_metadata`, `table_checks`,
`json_files`, `json_texts`, `toml_texts`, `pasted_lines` (what somebody sent), `short_text_cache` (results for it).
What several floors need: `kernels` (compiled by Numba at their first call), `progress`, `sql_syntax`,
`list_pages` with cursors.
"""
