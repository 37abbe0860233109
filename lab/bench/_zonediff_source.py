"""The entry of the invented zone's source: a folder of one file for each day."""

from __future__ import annotations

from intel.config.sources import Source


def zone_source(folder: str) -> Source:
    """The source whose files lie in `folder`."""
    return Source.model_validate(
        {
            "name": "bench-zone",
            "title": "Invented zone",
            "transport": "folder",
            "format": "zone",
            "location": folder,
            "semantics": "snapshot",
            "cadence": "daily",
            "reliability": "A",
            "tlp": "GREEN",
            "licence": {"name": "none", "commercial_use": True, "redistribution": True},
            "enabled": True,
            "options": {"pattern": "*.gz", "as_of": r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"},
            "limits": {"bytes": 1 << 40, "expansion": 1000},
        }
    )
