"""The API of privacy: export and erasure, the desk, what was estimated of a customer.

`privacy_routes` exports and erases one person, `privacy_desk_routes` reads the desk, `explanation_routes` explains.
"""
