"""The API of recommendations: a list for a page or a mail, while a shopper is there.

`recommendation_routes`.
"""
