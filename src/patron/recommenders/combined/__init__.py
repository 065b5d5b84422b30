"""Recommenders put together: blended, or ranked by what users did next.

`candidates` are the best items of several members. `blend` orders them by `blend_weights`, `learned_ranking` by trees
that look at `pair_features`. `attention_mixture` adds up the probabilities of a network and of transitions.
"""
