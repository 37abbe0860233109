"""Learns what bad names look like, from the warehouse: what sources list and what only channels of new domains show in,
a model out (intel/match/name_model.py).

Listed are the registrable domains that a source lists or attributes; ordinary are those that a channel of new domains
has shown and no source lists. Only suffixes that the channels show count, or the model would learn where the sources
look rather than what they find. Logistic regression by scikit-learn, an extra.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from db import documents, runs
from db.new_domains import listed_names, ordinary_names
from intel.config.newdomains import Ranking, read_new_domains
from intel.config.sources import Source
from intel.errors import ConfigError
from intel.match.name_model import NameModel, features, write_model
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.load.name_ranking import CURSOR
from tasks.normalize.new_domain_facts import LABEL

LEARNING: Final = Source.model_validate(
    {
        "name": "name-model",
        "title": "Model of names, learnt from this warehouse",
        "transport": "lookup",
        "format": "lookup",
        "location": "model:",
        "semantics": "stream",
        "cadence": "manual",
        "reliability": "F",
        "tlp": "TLP:AMBER+STRICT",
        "licence": {"name": "none", "commercial_use": True, "redistribution": False},
        "enabled": True,
    }
)
"""Whose runs and documents models are."""

LEAST_SOURCE: Final = 100
"""Names of a source from which on it counts as much as any other: held-out sources are foretold better so than by
counting each name the same, and a source of a few names is no source."""
_STRENGTH: Final = 0.05  # of the fit to single names; what is held out is ranked about as well from 0.02 to 0.2
_SELDOM: Final = 3  # names that must have a feature
_COUNTED: Final = 4_000_000  # features that are counted together: some 400 MB
_LEAST_WEIGHT: Final = 0.005
_HELD: Final = 5  # parts of the ordinary names, each scored by a model that has not seen it, to place the threshold
_LEAST_SUFFIX: Final = 5  # ordinary names under a suffix that is learnt from


class Learnt(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What was learnt from how many names; `why_not` says why there is no new model, or is empty."""

    listed: int = 0
    ordinary: int = 0
    features: int = 0
    threshold: float = 0.0
    why_not: str = ""


def learn(engine: Engine, *, flow_run: str = "") -> Learnt:
    """Make the model anew. Without enough names, or without the extra `ranking`, says why there is none.

    Raises BusyError where another process is at it.
    """
    config = read_new_domains(settings().configs).ranking
    if not config.enabled:
        return Learnt(why_not="ranking is switched off in configs/newdomains.yaml")
    since = datetime.now(UTC) - timedelta(days=config.days)
    with engine.connect() as connection:
        listed = listed_names(connection, config.most_examples, label=LABEL, least=LEAST_SOURCE)
        ordinary = ordinary_names(connection, config.most_examples, label=LABEL, since=since)
    least = min(len(listed), len(ordinary))
    if least < config.least_examples:
        return Learnt(
            listed=len(listed),
            ordinary=len(ordinary),
            why_not=f"too few names yet: {len(listed)} listed and {len(ordinary)} ordinary, of {config.least_examples}",
        )
    try:
        model = fit(listed, ordinary, config)
    except ConfigError as error:
        return Learnt(listed=len(listed), ordinary=len(ordinary), why_not=str(error))
    _keep(engine, model, flow_run)
    return Learnt(listed=model.listed, ordinary=model.ordinary, features=len(model.weights), threshold=model.threshold)


def fit(listed: Mapping[str, float], ordinary: Sequence[str], config: Ranking) -> NameModel:
    """The model of these names; `listed` have weights.

    Raises ConfigError where scikit-learn is not installed, or nothing is left to learn.
    """
    need("sklearn")
    suffixes = Counter(name.partition(".")[2] for name in ordinary)
    good = sorted(set(ordinary))
    bad = sorted(name for name in set(listed) - set(good) if suffixes[name.partition(".")[2]] >= _LEAST_SUFFIX)
    if not bad:
        raise ConfigError("couldn't learn names: none that a source lists has a suffix that new domains have")
    table = Examples([*bad, *good], [listed[name] for name in bad])
    kinds = range(len(bad)), range(len(bad), len(bad) + len(good))
    bias, weights = table.weigh(*kinds)
    return NameModel(
        made_at=datetime.now(UTC),
        listed=len(bad),
        ordinary=len(good),
        bias=bias,
        threshold=_threshold(table, *kinds, config.threshold_share),
        weights=weights,
    )


def need(module: str) -> Any:
    """A module of scikit-learn. Raises ConfigError where the extra is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"couldn't rank names: {module.partition('.')[0]} is not installed; install the extra `ranking`"
            " (`pip install scikit-learn` in the environment), or set `ranking: {enabled: false}` in"
            " configs/newdomains.yaml"
        ) from error


class Examples:
    """Names by their features, made once for several fits. The first of them are listed, and have `shares`: how much
    each counts beside the other listed ones.
    """

    def __init__(self, names: Sequence[str], shares: Sequence[float]) -> None:
        numpy = need("numpy")
        counting = need("sklearn.feature_extraction.text").CountVectorizer
        vectors = counting(analyzer=_distinct, vocabulary=frequent(names), binary=True, dtype=numpy.float32)
        self._matrix: Final = vectors.fit_transform(names)
        self._features: Final = [str(one) for one in vectors.get_feature_names_out()]
        self._shares: Final = numpy.array(shares)

    def weigh(self, bad: Sequence[int], good: Sequence[int]) -> tuple[float, dict[str, float]]:
        """(bias, weight of each feature that matters) from these rows, both kinds counting the same in all."""
        numpy = need("numpy")
        regression = need("sklearn.linear_model").LogisticRegression
        rows = numpy.r_[numpy.array(bad), numpy.array(good)].astype(numpy.int64)
        classes = numpy.r_[numpy.ones(len(bad)), numpy.zeros(len(good))]
        of_bad = self._shares[numpy.array(bad)]
        counts = numpy.r_[of_bad / of_bad.sum(), numpy.full(len(good), 1 / len(good))] * len(rows) / 2
        fitted = regression(C=_STRENGTH, solver="liblinear", max_iter=200).fit(
            self._matrix[rows], classes, sample_weight=counts
        )
        found = zip(self._features, fitted.coef_[0].tolist(), strict=True)
        weights = {one: round(weight, 4) for one, weight in found if abs(weight) >= _LEAST_WEIGHT}
        return float(fitted.intercept_[0]), weights

    def scores(self, rows: Sequence[int], bias: float, weights: dict[str, float]) -> list[float]:
        """What `NameModel.scores` says of the names of these rows, all at once."""
        numpy = need("numpy")
        column = numpy.array([weights.get(one, 0.0) for one in self._features])
        found: list[float] = (self._matrix[numpy.array(rows)] @ column + bias).tolist()
        return found


def frequent(names: Sequence[str], *, most: int = _COUNTED) -> list[str]:
    """The features that enough of the names have, sorted. At most some more than `most` are counted at a time: those
    that were seen least are forgotten, so that long names that nobody chose (hosting platforms') cost no more than
    others.
    """
    counts: Counter[str] = Counter()
    for name in names:
        counts.update(_distinct(name))
        least = 1
        while len(counts) > most:
            counts = Counter({one: count for one, count in counts.items() if count > least})
            least += 1
    enough = min(_SELDOM, len(names))
    return sorted(one for one, count in counts.items() if count >= enough)


def _distinct(name: str) -> list[str]:
    return list(dict.fromkeys(features(name)))


def _threshold(table: Examples, bad: Sequence[int], good: Sequence[int], share: float) -> float:
    """The score that so small a share of ordinary names exceeds, each scored by a model that has not seen it."""
    held = [row for row in good if row % _HELD == 0]
    known = [row for row in good if row % _HELD]
    scores = sorted(table.scores(held or good, *table.weigh(bad, known or good)), reverse=True)
    return scores[min(int(share * len(scores)), len(scores) - 1)]


def _keep(engine: Engine, model: NameModel, flow_run: str) -> None:
    body = write_model(model)
    digest = documents.put(settings().document_store, body)
    with open_run(engine, LEARNING, flow_run=flow_run) as run, engine.begin() as connection:
        number = runs.new_document(
            connection,
            source_id=run.source_id,
            run_id=run.run_id,
            location=f"model:{model.made_at:%Y-%m-%d}",
            sha256=digest,
            size=len(body),
            media_type="application/json",
            as_of=model.made_at,
            fetched_at=model.made_at,
        )
        runs.mark_loaded(connection, [number])
        value = {
            "sha256": digest.hex(),
            "made_at": model.made_at.isoformat(),
            "listed": model.listed,
            "ordinary": model.ordinary,
            "features": len(model.weights),
            "threshold": model.threshold,
        }
        runs.write_cursor(connection, CURSOR, value, run.run_id)
        runs.count(connection, run.run_id, documents=1, bytes=len(body))
        runs.finish(connection, run.run_id, outcome="ok")
