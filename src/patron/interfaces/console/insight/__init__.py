"""Pages about the shop as a whole: Today, overview, retention, experiments, Explore, the mail digest.

First pages: `today_pages`, in the words of `today_texts`; `overview_pages` with the brief.
Evidence: `retention_pages` (cohorts, payback), `experiment_pages`.
Own questions: `explore_pages`. Mail: `digest_pages`.
"""
