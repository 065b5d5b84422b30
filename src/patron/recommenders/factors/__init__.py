"""Recommenders of factors and of linear item models.

Implicit: `als`, by `factor_solver`. Ratings: `matrix_factorisation`, by `rating_factors`.
Items from items: `ease` in closed form, `slim` sparse.
`fitted_factors` is what the fits of factors share, networks too.
"""
