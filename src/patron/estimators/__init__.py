"""What every learner shares: the ground library, which the other libraries may import.

- `learner`: the protocols of learners and what they fit, baselines, tables of forecasts
- `saving`: fitted models on disk, field by field
- `boosted_trees`: LightGBM, the same result every time
- `classifiers`: logistic regression and trees for probabilities, calibrated
- `calibration`: probabilities that mean what they say
- `multiple_tests`: p-values of several tests at once
- `shrunken_rates`: rates of groups, drawn to a prior
- `bootstrap`: intervals over customers, paired gains
- `torch_import`: torch, where its extra is installed, and draws that are the same each time
- `text_terms`: terms of a text in any mix of languages
- `hulls`: steps along the upper hull of what choices bring and cost
- `importance_sampling`: means under another policy than the one that drew the rows
"""
