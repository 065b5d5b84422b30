"""What people order about recommendations: which recommender to use.

`compare_recommenders` compares them on a file of anybody's interactions.
"""
