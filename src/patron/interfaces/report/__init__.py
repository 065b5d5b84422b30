"""The report: one HTML file that needs nothing else, in English or Chinese.

`html_report` writes it; `summary_sentences` sums the run up, `brief_sentences` the week.
`digest` says what the mail digest holds for a reader, `digest_letter` makes it a letter.
"""
