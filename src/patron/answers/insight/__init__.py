"""What people ask about the shop as a whole: how it goes, what needs a decision, what Patron brought.

First pages: `today` (what needs a decision), `overview` (the shop at a glance), `brief` (the week), `report` (the run).
Money and time: `revenue`, `period_figures` for the `periods` that a reader chooses.
Cohorts: `retention` and `payback`, both from `cohort_sums`.
Experiments: `experiments` lists and shows them, from `experiment_line` (one, and its verdict), `experiment_results`
(what it showed) and `share_intervals`.
Explore: `questions`, saved or among `ready_questions`. Mail: `digest` says who gets it, and how the last ones went.
"""
