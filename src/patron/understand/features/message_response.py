"""What was sent to the customer and what came of it; coupons, reviews, referrals, registration."""

from patron.understand.features.feature_family import Family, how_many, known_before

KINDS = """('message_sent', 'message_opened', 'message_clicked', 'coupon', 'review', 'referral', 'registration',
    'recommendation_clicked', 'ad_clicked')"""
# why decimals: a sum of floats depends on the order of the rows; a number too large for stars does not count
STARS = "try_cast(rating as decimal(18, 6))"
RECENT_STARS = f"case when kind = 'review' and occurred_at >= from_90_days then {STARS} end"


def rows(_zone: str) -> str:
    """Messages and answers known by the cutoff."""
    facts = f"""
        select customer_id, occurred_at, known_at, kind, rating, local_day from interactions
        where is_identified and kind in {KINDS}"""
    return known_before(facts, columns="occurred_at, kind, rating, local_day")


def _last(kind: str) -> str:
    return f"max(moment_day) - max(case when kind = '{kind}' then local_day end)"


def message_sent_count_30_days() -> str:
    """Messages sent in the last 30 days."""
    return how_many("kind = 'message_sent'", 30)


def message_sent_count_90_days() -> str:
    """Messages sent in the last 90 days."""
    return how_many("kind = 'message_sent'", 90)


def message_sent_count_lifetime() -> str:
    """Messages sent ever."""
    return how_many("kind = 'message_sent'")


def message_opened_count_90_days() -> str:
    """Messages opened in the last 90 days."""
    return how_many("kind = 'message_opened'", 90)


def message_opened_count_lifetime() -> str:
    """Messages opened ever."""
    return how_many("kind = 'message_opened'")


def messages_opened_per_sent_90_days() -> str:
    """Openings per message sent in the last 90 days."""
    return f"{how_many('''kind = 'message_opened' ''', 90)} / nullif({message_sent_count_90_days()}, 0)"


def messages_clicked_per_sent_90_days() -> str:
    """Clicks per message sent in the last 90 days."""
    return f"{how_many('''kind = 'message_clicked' ''', 90)} / nullif({message_sent_count_90_days()}, 0)"


def days_since_last_message() -> str:
    """Calendar days from the last message sent to the cutoff; NULL without one."""
    return _last("message_sent")


def days_since_last_message_opened() -> str:
    """Calendar days from the last message opened to the cutoff; NULL without one."""
    return _last("message_opened")


def coupon_count_90_days() -> str:
    """Coupons redeemed in the last 90 days."""
    return how_many("kind = 'coupon'", 90)


def coupon_count_lifetime() -> str:
    """Coupons redeemed ever."""
    return how_many("kind = 'coupon'")


def review_count_365_days() -> str:
    """Reviews written in the last 365 days."""
    return how_many("kind = 'review'", 365)


def review_count_lifetime() -> str:
    """Reviews written ever."""
    return how_many("kind = 'review'")


def mean_rating() -> str:
    """Stars given in reviews, mean; NULL without one."""
    rated = f"kind = 'review' and {STARS} is not null"
    return f"cast(sum(case when {rated} then {STARS} end) as double) / nullif({how_many(rated)}, 0)"


def min_rating() -> str:
    """Fewest stars given in a review."""
    return "min(case when kind = 'review' then rating end)"


def min_rating_90_days() -> str:
    """Fewest stars given in a review of the last 90 days; NULL without one."""
    return f"min({RECENT_STARS})"


def days_since_min_rating_90_days() -> str:
    """Calendar days from the last review with the fewest stars of the last 90 days to the cutoff; NULL without one."""
    # why: one number orders by stars, then by age, and the stars are taken off again; no window has 1,000 days
    return f"min({RECENT_STARS} * 1000 + moment_day - local_day) - 1000 * min({RECENT_STARS})"


def days_since_last_review() -> str:
    """Calendar days from the last review to the cutoff; NULL without one."""
    return _last("review")


def referral_count_lifetime() -> str:
    """Customers referred ever."""
    return how_many("kind = 'referral'")


def recommendation_clicked_count_90_days() -> str:
    """Recommendations clicked in the last 90 days."""
    return how_many("kind = 'recommendation_clicked'", 90)


def ad_clicked_count_90_days() -> str:
    """Ads clicked in the last 90 days."""
    return how_many("kind = 'ad_clicked'", 90)


def days_since_registration() -> str:
    """Calendar days from the first registration to the cutoff; NULL without one."""
    return "max(moment_day) - min(case when kind = 'registration' then local_day end)"


FAMILY = Family(
    "messages",
    rows,
    (
        message_sent_count_30_days,
        message_sent_count_90_days,
        message_sent_count_lifetime,
        message_opened_count_90_days,
        message_opened_count_lifetime,
        messages_opened_per_sent_90_days,
        messages_clicked_per_sent_90_days,
        days_since_last_message,
        days_since_last_message_opened,
        coupon_count_90_days,
        coupon_count_lifetime,
        review_count_365_days,
        review_count_lifetime,
        mean_rating,
        min_rating,
        min_rating_90_days,
        days_since_min_rating_90_days,
        days_since_last_review,
        referral_count_lifetime,
        recommendation_clicked_count_90_days,
        ad_clicked_count_90_days,
        days_since_registration,
    ),
)
FEATURES = FAMILY.features
