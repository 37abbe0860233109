"""The real data below LAPSEWATCH_DATA, as sources.

In: lab/data_sources.yaml. Out: the sources, the files that each of them reads, and for every file that none of them
reads the reason. A file with neither is unexplained, which the benchmark `feeds` counts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from intel.config.read import check, read_yaml
from intel.config.sources import Source, SourceFile
from tasks.collect.files import list_files

FOLDERS: Final = ("actors", "feeds", "stix")
_ENTRIES: Final = Path(__file__).with_name("data_sources.yaml")

# The first pattern that matches counts; `**` is any folders.
_REFUSED: Final = (
    ("**/*.ioc", "OpenIOC: no reader; the same indicators stand in the folder's table"),
    ("**/*.xml", "STIX 1: no reader; the same indicators stand beside it in another form"),
    ("**/*.adoc", "a document for people: tables in prose, no format"),
    ("**/README.md", "a document for people: tables in prose, no format"),
    ("**/*.md", "a document for people: tables in prose, no format"),
    ("**/*.html", "a web page: no feed is read from markup"),
    ("feeds/intelmq/html_table/*", "a web page: no feed is read from markup"),
    ("feeds/intelmq/malwareurl/*", "a web page: no feed is read from markup"),
    ("feeds/intelmq/calidog/*", "a message of certstream: certificates are read from the logs themselves"),
    ("feeds/misp_feed_*/manifest.json", "the index of a MISP feed: the collector reads it to find the events"),
    ("feeds/misp_feed_*/hashes.csv", "the index of a MISP feed: hashes of the values that its events state"),
    ("feeds/api_responses/Analyzers_Crtsh/*", "an answer of a look-up: certificates by a log's number, without hash"),
    ("feeds/api_responses/Analyzers_Censys/**/*", "an answer of a look-up: one nested record for each host"),
    ("feeds/api_responses/Analyzers_HunterHow/*", "an answer of a look-up: address and port in fields apart"),
    ("feeds/api_responses/Analyzers_Pulsedive/**/*", "an answer of a look-up: what it is about is not in its records"),
    (
        "feeds/api_responses/Analyzers_SecurityTrails/with_domain/*",
        "an answer of a look-up: what it is about is not in its records",
    ),
    ("stix/tweetfeed_taxii/manifest/*", "a TAXII manifest: ids and versions of the objects in the pages"),
    ("stix/tweetfeed_taxii/index.json", "the index of the pages: counts and dates"),
    ("stix/medallion/*", "the seed of a TAXII server: whole collections in one file, not a document of one"),
    ("stix/stix-validator/v20/test_schemas/*", "a JSON schema: says how objects look, holds none"),
    ("actors/domaintools/2024/Octo2/octo2_dga_tlds.csv", "top-level domains: no name of anybody's"),
    ("actors/amnesty/*/config_profiles.txt", "identifiers of configuration profiles: no entity"),
)


@cache
def sources() -> dict[str, Source]:
    """The sources by name. Raises ConfigError where the file is wrong."""
    return {source.name: source for source in check(_ENTRIES, SourceFile, read_yaml(_ENTRIES)).sources}


def files_of(source: Source, root: Path) -> list[Path]:
    """The files below `root` that `source` reads; none where the folder is missing."""
    place = root / source.location
    if place.is_file():
        return [place]
    found = list_files(place, source.options.pattern) if place.is_dir() else []
    return [path for path in found if source.transport != "misp" or refused(path.relative_to(root)) is None]


def all_files(root: Path) -> list[Path]:
    """Every file of the folders that hold feeds and reports."""
    return sorted(path for name in FOLDERS for path in (root / name).rglob("*") if path.is_file())


def refused(path: PurePosixPath | Path) -> str | None:
    """Why no source reads the file at `path`, relative to the data's root; None where one should."""
    return next((reason for pattern, reason in _REFUSED if _matches(path, pattern)), None)


def _matches(path: PurePosixPath | Path, pattern: str) -> bool:
    """Glob from the root; `**` stands for any number of folders, which `PurePath.match` knows only from Python 3.13."""
    parts, wanted = list(path.parts), pattern.split("/")
    if "**" not in wanted:
        return len(parts) == len(wanted) and path.match(pattern)
    at = wanted.index("**")
    head, tail = wanted[:at], wanted[at + 1 :]
    if len(parts) < len(head) + len(tail):
        return False
    return _all_match(parts[: len(head)], head) and _all_match(parts[len(parts) - len(tail) :], tail)


def _all_match(parts: list[str], wanted: list[str]) -> bool:
    return all(PurePosixPath(part).match(pattern) for part, pattern in zip(parts, wanted, strict=True))
