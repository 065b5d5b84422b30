"""What a stored password costs whoever guesses; other tests hash faster (`product_hashers`)."""

from argon2 import Type, extract_parameters


def test_passwords_and_recovery_codes_are_hashed_at_the_cost_that_owasp_asks_for(product_hashers):
    for hasher, kibibytes in zip(product_hashers, (46 * 1024, 19 * 1024), strict=True):
        stored = extract_parameters(hasher.hash("copper lantern drifts seaward"))
        assert stored.type is Type.ID
        assert (stored.time_cost, stored.parallelism) == (2, 1)
        assert stored.memory_cost >= kibibytes
