"""Lookalikes: customers outside a segment who are most like its members, with the shop's own ids."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from patron.estimators.bootstrap import LEVEL, bootstrap_weights, percentile_interval
from patron.estimators.classifiers import fit_weights, log_scaled, moments, standardise
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import latest_answers
from patron.govern.vault import Vault
from patron.predict.feature_matrix import NOT_FEATURES, Design
from patron.schema.access.audit_actions import AuditAction
from patron.schema.common_sentences import CREATE_OR_CHOOSE, FILE_UNREADABLE, NO_SUCH_FOLDER, RUN_HAS
from patron.schema.errors import BadFile, NotEnoughData, NotFound, SettingsError
from patron.schema.models import metrics
from patron.schema.numbers import Numbers
from patron.schema.sentences import Sentence
from patron.storage.engine import timestamp
from patron.storage.offers.policy import PROFILING
from patron.storage.runs.last_run import last_run
from patron.storage.safe_csv import write_csv
from patron.storage.shop import Shop, Snapshot

NAME_ID_FILE = Sentence("name_id_file", "Name a UTF-8 text file with one id a line.")
NOBODY_IN_PART = Sentence("nobody_in_part", "no customer is in {kind} {value}")
SEGMENT_OF_SIZE = Sentence(
    "segment_of_size", "Name a segment with at least {inside} customers in it and {outside} outside."
)

SEGMENT_WAYS = Sentence("segment_ways", "Use one of --persona, --stage, --ids.")
SEGMENT_ONE_WAY = Sentence("segment_one_way", "name the segment in exactly one way")
TOO_FEW_TO_LEARN = Sentence("too_few_to_learn", "{count} {kind} are too few to learn from")


MIN_MEMBERS = 20
MAX_OF_EACH = 20_000
"""Members and others that the model is fitted on, at most."""
FOLDS = 5
INVERSE_PENALTY = 0.01
"""scikit-learn's C: smaller shrinks more."""
HEADINGS = frozenset({"user_id", "customer_id"})
"""First lines of files of ids that are no id."""
COLUMNS = ("rank", "customer_id", "user_id", "likeness", "may_be_contacted")
Verdict = Literal["apart", "weakly_apart", "nothing_apart"]
WELL_APART = 0.65
"""AUC from which the list is worth acting on."""


@dataclass(frozen=True)
class Segment:
    """Whose lookalikes: exactly one of a persona, a lifecycle stage, or the shop's own ids.

    Raises SettingsError for none or several.
    """

    persona_id: int | None = None
    stage: str | None = None
    user_ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse none and several."""
        if sum(value is not None for value in vars(self).values()) != 1:
            todo = SEGMENT_WAYS
            raise SettingsError(SEGMENT_ONE_WAY, where="segment", todo=todo)


@dataclass(frozen=True)
class Lookalike:
    """A customer outside the segment, and how much they are like its members."""

    rank: int
    customer_id: str
    user_id: str | None
    """The shop's own id that was known last; None where there is none."""
    likeness: float
    """0 to 1: share of the members who are less typical of the segment than this customer."""
    may_be_contacted: bool


@dataclass(frozen=True)
class Lookalikes:
    """The customers most like a segment, the likest first, and how well its members can be told apart at all."""

    run_id: str
    as_of: datetime
    member_count: int
    candidate_count: int
    """Customers outside the segment who do not object to profiling."""
    unknown_count: int
    """Given ids that no customer of the run has."""
    objecting_count: int
    """Customers left out because they object to profiling."""
    auc: float
    """Chance that a member gets a higher score than another customer, of models that knew neither; .5 is chance."""
    auc_low: float
    auc_high: float
    verdict: Verdict
    people: tuple[Lookalike, ...] = field(default=())


def find_lookalikes(context: RequestContext, segment: Segment, *, most: int = 500) -> Lookalikes:
    """Rank the customers outside a segment by likeness to its members, from the features of the last run.

    Raises NoRunYet, NotFound for a segment that the run does not have, NotEnoughData for fewer than 20 members or
    other customers. The audit log records it.
    """
    view = last_run(context.shop)
    features = _features(view)
    ids = features["customer_id"].to_pylist()
    tokens = view.query(
        "select token, customer_id, known_at from identities where is_user order by known_at, token desc"
    )
    customer_by_token = dict(zip(tokens["token"].to_pylist(), tokens["customer_id"].to_pylist(), strict=True))
    members, unknown_count = _members(context.shop, view, segment, customer_by_token, frozenset(ids))
    consent = context.shop.policy.consent
    profiling = latest_answers(context.shop.store, consent.names_of(PROFILING), customer_by_token)
    is_kept = np.array([profiling.get(identifier) is not False for identifier in ids], dtype=bool)
    is_member = np.array([identifier in members for identifier in ids], dtype=bool)
    kept = features.filter(pa.array(is_kept))
    _require_enough(int(is_member[is_kept].sum()), int((~is_member[is_kept]).sum()))
    scores = cross_fitted_scores(kept, is_member[is_kept], rng=np.random.default_rng(view.run.child_seed("lookalikes")))
    auc, low, high = separation(scores, is_member[is_kept], rng=np.random.default_rng(view.run.child_seed("interval")))
    chosen = _likest(kept, is_member[is_kept], scores, most)
    user_ids = _user_ids(context.shop, customer_by_token, {one for one, _ in chosen})
    marketing = latest_answers(context.shop.store, consent.names_of(consent.marketing), customer_by_token)
    people = tuple(
        Lookalike(
            rank,
            one,
            user_id=user_ids.get(one),
            likeness=likeness,
            may_be_contacted=consent.allows(is_granted=marketing.get(one)),
        )
        for rank, (one, likeness) in enumerate(chosen, start=1)
    )
    with context.shop.store.begin() as connection:
        details = {"run_id": view.run.run_id, "customer_count": len(people)}
        context.record(connection, AuditAction.LOOKALIKES_LISTED, details)
    return Lookalikes(
        run_id=view.run.run_id,
        as_of=view.run.as_of,
        member_count=int(is_member[is_kept].sum()),
        candidate_count=int((~is_member[is_kept]).sum()),
        unknown_count=unknown_count,
        objecting_count=int((~is_kept).sum()),
        auc=auc,
        auc_low=low,
        auc_high=high,
        verdict=_verdict(auc, low),
        people=people,
    )


def cross_fitted_scores(features: pa.Table, is_member: np.ndarray, *, rng: np.random.Generator) -> Numbers:
    """Log-odds of being a member, each row scored by a model fitted without it.

    A ridge logistic regression on all numbers and favourites but declared traits, members against as many as 20,000
    others: few members say too little for anything with more freedom.
    """
    matrix = standardised_matrix(features)
    order = np.lexsort(matrix.T)  # why: folds follow from what customers did, not from ids that a secret made
    is_member, matrix = is_member[order], matrix[order]
    fold = np.empty(len(order), dtype=np.int64)
    for group in (is_member, ~is_member):  # why: every fold has its share of few members
        places = np.flatnonzero(group)
        fold[rng.permutation(places)] = np.arange(len(places)) % FOLDS
    scores = np.zeros(len(order))
    with threadpool_limits(1):  # why: sums in one order
        for number in range(FOLDS):
            others = [np.flatnonzero(group & (fold != number)) for group in (is_member, ~is_member)]
            rows = np.sort(np.concatenate([rng.permutation(places)[:MAX_OF_EACH] for places in others]))
            weights, intercept = fit_weights(
                matrix[rows], is_member[rows], INVERSE_PENALTY, iterations=500, tolerance=1e-4
            )
            places = np.flatnonzero(fold == number)
            scores[order[places]] = matrix[places] @ weights + intercept
    return np.round(scores, 9)


def standardised_matrix(features: pa.Table) -> Numbers:
    """Features as a model can weigh them: logarithms with their sign, in standard deviations, the unknown at 0."""
    names = [name for name in features.column_names if name not in NOT_FEATURES and not name.startswith("declared_")]
    scaled = log_scaled(Design.of(features.select(names)).matrix(features))
    return standardise(scaled, *moments(scaled))


def separation(scores: Numbers, is_member: np.ndarray, *, rng: np.random.Generator) -> tuple[float, float, float]:
    """AUC of members against others, with a 95 % bootstrap interval over customers."""
    rows = np.concatenate([rng.permutation(np.flatnonzero(group))[:2_000] for group in (is_member, ~is_member)])
    label, score = is_member[rows].astype(np.float64), scores[rows]
    weights = bootstrap_weights(np.arange(len(rows)), rng=rng)
    whole = float(metrics.auc(is_member.astype(np.float64), scores))
    ends = percentile_interval(whole, metrics.auc(label, score, weights), level=LEVEL)
    return round(whole, 4), round(ends.low, 4), round(ends.high, 4)


def read_user_ids(path: Path) -> tuple[str, ...]:
    """The shop's own ids from a text file, one a line; of a CSV the first column. Raises BadFile."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        todo = NAME_ID_FILE
        raise BadFile(FILE_UNREADABLE, where=str(path), todo=todo) from error
    ids = (line.split(",", 1)[0].strip().strip('"') for line in lines)
    return tuple(dict.fromkeys(identifier for identifier in ids if identifier and identifier not in HEADINGS))


def write_lookalikes(lookalikes: Lookalikes, path: Path) -> Path:
    """Write the list as CSV, whole, readable by its owner only; no cell runs as a formula. Raises BadFile, NoSpace."""
    if not path.parent.is_dir():
        raise BadFile(NO_SUCH_FOLDER, where=str(path.parent), todo=CREATE_OR_CHOOSE)
    rows = (
        (
            str(person.rank),
            person.customer_id,
            person.user_id or "",
            f"{person.likeness:.4f}",
            str(person.may_be_contacted).lower(),
        )
        for person in lookalikes.people
    )
    write_csv(path, COLUMNS, rows)
    return path


def _features(view: Snapshot) -> pa.Table:
    of_run = f"run_id = '{view.run.run_id}' and as_of = {timestamp(view.run.as_of)}"
    return view.query(f"select * from features where {of_run} order by customer_id")


def _members(
    shop: Shop, view: Snapshot, segment: Segment, customer_by_token: dict[str, str], customers: Collection[str]
) -> tuple[frozenset[str], int]:
    """Customers of the segment, and how many given ids are nobody's."""
    if segment.user_ids is not None:
        vault = Vault.open(shop)
        customer_ids = [customer_by_token.get(vault.token("user_id", user_id), "") for user_id in segment.user_ids]
        return frozenset(customer_ids) & frozenset(customers), sum(
            customer_id not in customers for customer_id in customer_ids
        )
    column, value = ("persona_id", segment.persona_id) if segment.stage is None else ("lifecycle_stage", segment.stage)
    rows = view.query(f"select customer_id, {column} as part from this_segments")
    parts = sorted(set(rows["part"].to_pylist()) - {-1})
    if value not in parts:
        todo = RUN_HAS(names=", ".join(map(str, parts)) or "none")
        raise NotFound(
            NOBODY_IN_PART(kind=column.replace("_id", "").replace("_", " "), value=value), where="segment", todo=todo
        )
    return frozenset(rows.filter(pc.equal(rows["part"], value))["customer_id"].to_pylist()), 0


def _require_enough(member_count: int, other_count: int) -> None:
    for count, what in ((member_count, "members of the segment"), (other_count, "customers outside the segment")):
        if count < MIN_MEMBERS:
            raise NotEnoughData(
                TOO_FEW_TO_LEARN(count=count, kind=what),
                where="lookalikes",
                todo=SEGMENT_OF_SIZE(inside=MIN_MEMBERS, outside=MIN_MEMBERS),
            )


def _likest(features: pa.Table, is_member: np.ndarray, scores: Numbers, most: int) -> list[tuple[str, float]]:
    """The others with the highest scores, each with the share of members who score lower."""
    of_members = np.sort(scores[is_member])
    others = np.flatnonzero(~is_member)
    best = others[np.argsort(-scores[others], kind="stable")[:most]]
    likeness = np.searchsorted(of_members, scores[best], side="left") / len(of_members)
    ids = features["customer_id"].take(best).to_pylist()
    return [(one, round(float(share), 4)) for one, share in zip(ids, likeness, strict=True)]


def _user_ids(shop: Shop, customer_by_token: dict[str, str], customers: Collection[str]) -> dict[str, str | None]:
    """The shop's own id of each customer that was known last."""
    latest = {customer: token for token, customer in customer_by_token.items() if customer in customers}
    revealed = Vault.open(shop).reveal(list(latest.values()))
    return dict(zip(latest, revealed, strict=True))


def _verdict(auc: float, low: float) -> Verdict:
    if low <= 0.5:
        return "nothing_apart"
    return "apart" if auc >= WELL_APART else "weakly_apart"
