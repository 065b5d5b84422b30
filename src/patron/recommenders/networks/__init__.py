"""Recommenders that are networks: fitted by torch (the extra deep), recommending in NumPy.

`self_attention` reads sequences; `attention_states` is its forward pass.
`two_towers` has vectors of users and items; `tower_network` is its network.
"""
