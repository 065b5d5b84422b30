"""Figures, questions that people ask of tables, and the mail digest, as every floor names them.

`guided_question` is a question made of parts, and its SQL; `digest` is what a mail digest may hold, and for whom;
`figures` is every number that several pages show: of whom, of which time, and from where.
"""
