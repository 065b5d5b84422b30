"""Baselines of recommenders: what is popular, and what a user had often.

`recent_popularity` for everybody, `group_popularity` by group, `category_popularity` by the user's categories,
`personal_frequency` by the user's own past.
"""
