"""Which visits end with an order: a model fitted to past visits, which the service asks after each new event."""

from patron.clickstream import LEARNERS
from patron.predict.session_conversion.conversion_model import build_session_conversion

__all__ = ["LEARNERS", "build_session_conversion"]
