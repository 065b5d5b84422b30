"""Which products each customer buys in the next 28 days."""

from patron.predict.recommend.frequency_blend import PersonalFrequencyBlend
from patron.predict.recommend.popularity import Popularity

LEARNERS = (Popularity(), PersonalFrequencyBlend())
