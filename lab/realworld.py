"""The real data of LAPSEWATCH_DATA, served as its publishers served it on a day: nothing that came later is there yet.

Comes in: the folder. Goes out: documents by path for `lab.feeds`, objects for `lab.taxii`, the sources' entries. The
names in it may be live and malicious: they are data, and nothing here or in what reads it resolves or requests them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from lab import data as entries
from lab.world import Submission

FIRST_DAY: Final = datetime(2026, 7, 24, tzinfo=UTC)
LAST_DAY: Final = datetime(2026, 8, 7, tzinfo=UTC)

_ENTRIES: Final = {
    "data-tweetfeed": "tweetfeed/today.csv",
    "data-maltrail-timeline": "maltrail/timeline.csv",
    "data-openphish": "openphish/feed.txt",
    "data-misp-tweetfeed": "misp/",
}
_BASELINE: Final = "data-maltrail"
_TIMELINE: Final = "actors/maltrail_apt/timeline_2026-01-03_2026-08-23.csv"


class RealWorld:
    """What there is to fetch at a moment; `root` is the folder of real data."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def documents(self, at: datetime) -> Mapping[str, tuple[bytes, str]]:
        """Path -> (body, media type) at this moment."""
        found = {
            "tweetfeed/today.csv": (self._tweetfeed(at), "text/csv"),
            "maltrail/timeline.csv": (self._timeline_until(at), "text/csv"),
            "openphish/feed.txt": (self._openphish(at), "text/plain"),
        }
        manifest = {}
        for uuid, (entry, body) in self._misp.items():
            if datetime.fromisoformat(entry["date"]).replace(tzinfo=UTC) < at:
                manifest[uuid] = entry
                found[f"misp/{uuid}.json"] = (body, "application/json")
        found["misp/manifest.json"] = (json.dumps(manifest).encode(), "application/json")
        return found

    def taxii_objects(self, at: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
        """(date added, object) of TweetFeed's own TAXII pages, in order, up to this moment."""
        for added, item in self._taxii:
            if added < at:
                yield added, item

    def certificates(self, _at: datetime) -> list[bytes]:
        """None: the real data has no log that the lab could sign."""
        return []

    def tiled(self, _at: datetime) -> list[Submission]:
        """None, for the same reason."""
        return []

    @cached_property
    def actors(self) -> list[str]:
        """The actors that the timeline adds something to, by the ids of their naming authority."""
        return sorted({f"maltrail:apt_{row['actor']}" for row in self._timeline})

    def _tweetfeed(self, at: datetime) -> bytes:
        days = sorted((self._root / "feeds/tweetfeed/daily").glob("*.csv"))
        return b"".join(path.read_bytes() for path in days if path.stem < f"{at:%Y%m%d}")

    def _openphish(self, at: datetime) -> bytes:
        snapshots = sorted((self._root / "feeds/openphish").glob("feed_*.txt"))
        past = [path for path in snapshots if path.stem < f"feed_{at:%Y-%m-%dT%H%M}Z"]
        return past[-1].read_bytes()

    def _timeline_until(self, at: datetime) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self._timeline[0]))
        writer.writeheader()
        writer.writerows(row for row in self._timeline if datetime.fromisoformat(row["date"]) < at)
        return text.getvalue().encode()

    @cached_property
    def _timeline(self) -> list[dict[str, str]]:
        with (self._root / _TIMELINE).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @cached_property
    def _misp(self) -> dict[str, tuple[dict[str, Any], bytes]]:
        folder = self._root / "feeds/misp_feed_tweetfeed"
        manifest = json.loads((folder / "manifest.json").read_bytes())
        return {uuid: (entry, (folder / f"{uuid}.json").read_bytes()) for uuid, entry in manifest.items()}

    @cached_property
    def _taxii(self) -> list[tuple[datetime, dict[str, Any]]]:
        folder = self._root / "stix/tweetfeed_taxii"
        added: dict[str, datetime] = {}
        objects: dict[str, dict[str, Any]] = {}
        for page in sorted((folder / "pages").glob("*.json")):
            for item in json.loads(page.read_bytes()):
                objects[item["id"]] = item
            for line in json.loads((folder / "manifest" / page.name).read_bytes()):
                added[line["id"]] = datetime.fromisoformat(line["date_added"])
        return sorted(((added[name], objects[name]) for name in added if name in objects), key=lambda pair: pair[0])


def sources(feeds: str, taxii: str, collection: str) -> list[dict[str, Any]]:
    """The entries of what is served, as lab/data_sources.yaml describes it, switched on and moved to the lab."""
    known = entries.sources()
    served = [
        _entry(known[name].model_dump(mode="json"), f"{feeds}/{path}", "misp" if path.endswith("/") else "http")
        for name, path in _ENTRIES.items()
    ]
    # As HTTP tells: one document, dated by Last-Modified.
    for entry in served:
        entry["options"].update(as_of="", documents="together", pattern="*")
    baseline = known[_BASELINE].model_dump(mode="json") | {"enabled": True, "cadence": "hourly"}
    collection_entry = served[0] | {
        "name": "data-tweetfeed-taxii",
        "title": "TweetFeed, over TAXII",
        "transport": "taxii",
        "format": "stix",
        "location": f"{taxii}/api/",
        "options": {"collection": collection},
    }
    return [baseline, *served, collection_entry]


def _entry(entry: dict[str, Any], location: str, transport: str) -> dict[str, Any]:
    return entry | {"location": location, "transport": transport, "enabled": True, "cadence": "hourly"}


def watches(actors: list[str]) -> dict[str, dict[str, Any]]:
    """A watch file for each actor, by file name."""
    return {
        f"{actor.partition('apt_')[2].replace('_', '-')}.yaml": {
            "name": actor.partition("apt_")[2].replace("_", "-"),
            "reason": "the trail of this actor grows",
            "actor": actor,
            "follow_actor": True,
        }
        for actor in actors
    }
