"""The command line of recommendations: recommenders compared.

`recommend_commands` is `patron recommend`, printed by `render_recommenders`.
"""
