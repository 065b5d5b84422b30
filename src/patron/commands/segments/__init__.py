"""What people order about segments: saved versions, and members as a file.

`save_segment` saves, restores and deletes; `save_tag_segment` does so for customers who were picked by hand.
`export_segment` lists members under the shop's own ids.
"""
