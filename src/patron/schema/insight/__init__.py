"""What everyone agrees on about insight.

`guided_question` is a question made of parts, and its SQL; `digest` is what a mail digest may hold, and for whom.
"""
