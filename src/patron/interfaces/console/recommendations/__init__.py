"""The page of recommendations: a list as a shopper would get it, and why a product is not in it.

`recommendation_pages`.
"""
