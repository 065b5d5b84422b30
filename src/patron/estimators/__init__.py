"""What every learner shares: the ground library, which the other libraries may import.

- learner: `Learner` and what it fits, baselines, tables of forecasts
- saving: fitted models on disk, field by field
- boosted_trees: LightGBM, the same result every time
- classifiers: logistic regression and trees for probabilities, calibrated
- calibration: probabilities that mean what they say
- shrunken_rates: rates of groups, drawn to a prior
- bootstrap: intervals over customers, paired gains
- text_terms: terms of a text in any mix of languages
"""
