"""Upkeep of new domains: first sights that are too old go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from db import new_domains
from intel.config.newdomains import read_new_domains
from intel.settings import settings


def prune_seen(engine: Engine) -> int:
    """Remove first sights older than configs/newdomains.yaml keeps them. Returns how many."""
    days = read_new_domains(settings().configs).keep_days
    return new_domains.prune(engine, datetime.now(UTC) - timedelta(days=days))
