import numpy as np

from patron.measure.empirical_bayes import shrunk_effects
from patron.measure.offer_effects import ANY, offer_effects


def parts(outcomes):
    return [effect for effect in offer_effects(outcomes) if effect.offer != ANY and effect.stratum != "all"]


def truth(stratum):
    return 300.0 if "deals_high" in stratum else -100.0


def test_shrunken_effects_are_nearer_to_the_truth_than_plain_ones(world):
    plain, shrunk = [], []
    for seed in range(6):
        estimates = parts(world(1_500, seed))
        keys = [(estimate.offer, estimate.stratum) for estimate in estimates]
        plain += [estimate.adjusted.value - truth(estimate.stratum) for estimate in estimates]
        shrunk += [effect.effect - truth(effect.stratum) for effect in shrunk_effects(estimates, keys)]
    assert np.mean(np.square(shrunk)) < 0.7 * np.mean(np.square(plain))


def test_a_stratum_never_measured_gets_the_effect_of_its_parts(world):
    drawn = world(6_000)
    missing = "lapsed/deals_high/value_low"
    estimates = [part for part in parts(drawn) if part.stratum != missing]
    found = shrunk_effects(estimates, [("ten", missing)])[0]
    assert abs(found.effect - 300.0) < 3 * found.standard_error
    assert found.effect > 100.0
