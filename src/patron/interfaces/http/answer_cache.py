"""What the application keeps for its readers."""

from fastapi import Request

from patron.storage.runs.answer_cache import AnswerCache


def answers_of(request: Request) -> AnswerCache:
    """Answers about the last run, of the shop that a request is about."""
    return request.app.state.answers
