import pytest

from patron.schema.errors import SettingsError
from patron.storage.offers.policy import Policy

HEAD = '[[offers]]\nid = "x"\nassumed_purchase_uplift = 0.1\n'


def load(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return Policy.load(path)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("", "offers.0 needs discount_share: x is of the kind discount"),
        ('kind = "coupon"\n', "needs amount_off above 0: x is of the kind coupon"),
        ('kind = "points"\n', "needs points_share above 0"),
        ('kind = "free_delivery"\n', "needs cost_per_order_cents above 0"),
        (
            'kind = "reminder"\ndelivery_free_from = 60\n',
            "needs cost_per_order_cents above 0: x has delivery_free_from",
        ),
        ('kind = "call"\ncontact_cost_cents = 0\n', "needs contact_cost_cents above 0"),
        ('kind = "coupon"\namount_off = 5\ndiscount_share = 0.1\n', "must not have discount_share, a key of discount"),
        ('kind = "cupon"\n', "offers.0.kind must be one of"),
        ('kind = "call"\ncontact_cost_cents = -1\n', "offers.0.contact_cost_cents must be at least 0 (got -1)"),
        ('kind = "reminder"\nreasons = ["return"]\n', "'return' is none. Did you mean returns?"),
        ('kind = "reminder"\nlifecycle_stages = ["gone"]\n', "offers.0.lifecycle_stages.0 must be one of"),
        ('kind = "reminder"\nchannels = ["pigeon"]\n', "offers.0.channels.0 must be"),
        ('kind = "reminder"\ngender = "f"\n', "offers.0.gender is not a known key"),
        (
            'kind = "reminder"\navailable_from = 2024-03-02\navailable_until = 2024-03-01\n',
            "needs available_until of x (2024-03-01) to be no earlier than available_from (2024-03-02)",
        ),
        ('kind = "reminder"\navailable_from = "soon"\n', "offers.0.available_from"),
        ('kind = "reminder"\nstock = -1\n', "offers.0.stock must be at least 0"),
        ('kind = "coupon"\namount_off = inf\n', "offers.0.amount_off must be at most 1000000000 (got inf)"),
        ('kind = "coupon"\namount_off = nan\n', "offers.0.amount_off must be at most 1000000000 (got nan)"),
        ('kind = "reminder"\nleast_value = inf\n', "offers.0.least_value must be at most 1000000000"),
        (f'kind = "reminder"\nstock = {10**18}\n', "offers.0.stock must be at most 1000000000"),
        (f'kind = "call"\ncontact_cost_cents = {10**18}\n', "offers.0.contact_cost_cents must be at most"),
        (
            'kind = "reminder"\nis_ordinary = true\nleast_orders = 3\n',
            "must not have least_orders: x is ordinary. It goes to customers who refuse personal offers",
        ),
    ],
)
def test_a_broken_offer_says_which_offer_and_key(tmp_path, keys, words):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, HEAD + keys)
    assert words in str(error.value)


def test_one_offer_is_ordinary_at_most(tmp_path):
    keys = 'kind = "reminder"\nis_ordinary = true\n'
    with pytest.raises(SettingsError, match="need is_ordinary of one offer at most; x and y have it"):
        load(tmp_path, HEAD + keys + HEAD.replace('"x"', '"y"') + keys)


def test_a_policy_is_the_same_after_it_was_written_out(tmp_path):
    policy = load(
        tmp_path, HEAD + 'kind = "coupon"\namount_off = 5\n' + HEAD.replace('"x"', '"y"') + "discount_share = 0\n"
    )
    assert Policy.model_validate(policy.model_dump()) == policy


def test_amounts_are_in_the_shops_currency_and_dates_include_both_ends(tmp_path):
    keys = 'kind = "coupon"\namount_off = 5.55\nleast_order = 40\navailable_from = 2024-03-01\n'
    offer = load(tmp_path, HEAD + keys + "available_until = 2024-03-02\n").offers[0]
    assert (offer.amount_off_cents, offer.least_order_cents) == (555, 4_000)
    days = [offer.available_from.replace(day=day) for day in (1, 2, 3)]
    assert [offer.is_available(day) for day in days] == [True, True, False]
