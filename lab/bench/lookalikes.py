"""Benchmark `lookalikes`: 100 well-known brands against a million well-known names, and against an independent maker of
lookalikes.

Hits: each name of the Tranco list in `pymispwarninglists` is asked what it imitates. Most of them are harmless, and
many are the brands' own other domains, so this is what an analyst would have to look through. The rules were tuned on
this list and these brands; the second table has lists and brands that they were not tuned on.

Recall: dnstwist's fuzzers make names from each brand (no name is looked up anywhere), and each is to be found as a
lookalike of its brand. For the fuzzer `dictionary` the words are the 100 that stand most often between hyphens in the
Tranco list, for `tld-swap` the 100 suffixes that are most common there.

Speed: names of the Tranco list, each with and without `www.`, are asked one after the other, on one core.

Figures: `recall`, over all names that dnstwist made; `recall_mean`, the mean of its fuzzers; `hits_per_million`;
`names_per_s_100`, `names_per_s_10000` and `names_per_s_100000`, by the number of watched domains.
"""

from __future__ import annotations

import importlib.util
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from intel.errors import ConfigError, ReadError
from intel.match.hits import By
from intel.match.lookalikes import Lookalike, Lookalikes
from intel.match.patterns import pattern
from intel.names import default_suffixes, package_folder
from lab.bench.result import Result, Table

BRANDS: Final = tuple(
    """
    google.com facebook.com amazon.com apple.com microsoft.com netflix.com paypal.com instagram.com linkedin.com
    twitter.com youtube.com whatsapp.com dropbox.com adobe.com yahoo.com ebay.com spotify.com tiktok.com telegram.org
    discord.com github.com gitlab.com cloudflare.com salesforce.com oracle.com cisco.com vmware.com intel.com nvidia.com
    samsung.com sony.com nintendo.com steampowered.com roblox.com twitch.tv reddit.com pinterest.com snapchat.com
    wikipedia.org wordpress.com shopify.com etsy.com walmart.com target.com bestbuy.com costco.com homedepot.com
    ikea.com alibaba.com aliexpress.com booking.com airbnb.com expedia.com tripadvisor.com uber.com lufthansa.com
    ryanair.com emirates.com marriott.com hilton.com dhl.com fedex.com ups.com usps.com maersk.com chase.com
    wellsfargo.com bankofamerica.com citibank.com americanexpress.com mastercard.com visa.com hsbc.com barclays.co.uk
    santander.com bnpparibas.com deutsche-bank.de commerzbank.de ing.nl rabobank.nl revolut.com stripe.com coinbase.com
    binance.com kraken.com metamask.io blockchain.com okta.com docusign.com zoom.us vodafone.com t-mobile.com orange.fr
    verizon.com att.com bbc.co.uk nytimes.com cnn.com mercadolibre.com rakuten.co.jp
    """.split()  # noqa: SIM905  # a hundred quoted names would fill the page
)
_MILLION: Final = 1_000_000
_MEASURED: Final = 100_000  # names of the list that the speed is measured with
_SYLLABLES: Final = "ba ce di fo gu ka lem mon nir pol qua rus sta tel vex win zor tra shi ble con der ent ing".split()  # noqa: SIM905  # as above
_CLAIMS: Final = {
    "addition": "a letter added; of 3 letters only a doubled one or a hyphen",
    "bitsquatting": "a letter replaced; of 4 letters only by a key beside it or a twin; of 3 only by a twin",
    "cyrillic": "letters that look Latin",
    "dictionary": "added words: anywhere with hyphens; without, lures only unless the brand has 8 letters",
    "homoglyph": "up to three twins, or one and an edit from 7 letters on; two edits are outside",
    "hyphenation": "a letter added",
    "insertion": "a letter added; of 3 letters only a doubled one",
    "omission": "a letter left out; from 5 letters on, of 4 a doubled one",
    "plural": "a letter added; `es` within is two, and outside",
    "repetition": "a letter added",
    "replacement": "as bitsquatting",
    "subdomain": "a dot within, from 5 letters on",
    "tld-swap": "other suffix",
    "transposition": "letters swapped, from 4 letters on",
    "various": "added words",
    "vowel-swap": "as bitsquatting",
}


@dataclass(kw_only=True)
class Recall:
    """What a fuzzer made, and what was found of it."""

    made: int = 0
    found: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.found / self.made if self.made else 1.0


def run() -> Result:
    """Measure everything. Raises ConfigError where dnstwist is not installed."""
    names = listed("tranco")
    hits = imitations(BRANDS, names)
    recalls = recall(BRANDS, common_words(names), common_suffixes(names))
    speeds = [speed(count, names) for count in (100, 10_000, 100_000)]
    per_million = round(sum(map(len, hits.values())) * _MILLION / len(names))
    made = sum(one.made for one in recalls.values())
    return Result(
        tables=(
            _hits_table(hits, len(names), frozenset(listed("tranco10k"))),
            _others_table(names, per_million),
            _recall_table(recalls),
            Table(title="Speed, one core", columns=("watched domains", "built in s", "names/s"), rows=tuple(speeds)),
        ),
        figures={
            "tranco_names": len(names),
            "hits_per_million": per_million,
            "made": made,
            "recall": round(sum(one.found for one in recalls.values()) / made, 4),
            "recall_mean": round(sum(one.share for one in recalls.values()) / len(recalls), 4),
            **{f"names_per_s_{count}": rate for count, _, rate in speeds},
        },
    )


def listed(name: str) -> list[str]:
    """A list of `pymispwarninglists`, in its order, leading dots left out."""
    path = package_folder("pymispwarninglists") / "data/misp-warninglists/lists" / name / "list.json"
    return [str(line).lstrip(".").lower() for line in json.loads(path.read_text("utf-8"))["list"]]


def imitations(watched: Iterable[str], names: Iterable[str]) -> dict[str, list[tuple[str, Lookalike]]]:
    """The names that imitate something, by how they do."""
    lookalikes = Lookalikes(watched)
    registrable = default_suffixes().registrable
    found: dict[str, list[tuple[str, Lookalike]]] = defaultdict(list)
    for name in names:
        for one in lookalikes.find(name, registrable(name)):
            found[one.how.value].append((name, one))
    return found


def common_words(names: Iterable[str], count: int = 100) -> list[str]:
    """The words that stand most often between hyphens in the first labels of names."""
    words: Counter[str] = Counter()
    for name in names:
        label = name.partition(".")[0]
        if "-" in label:
            words.update(word for word in label.split("-") if len(word) > 2 and word.isalpha())
    return [word for word, _ in words.most_common(count)]


def common_suffixes(names: Iterable[str], count: int = 100) -> list[str]:
    """The public suffixes that are most common."""
    suffixes: Counter[str] = Counter()
    for name in names:
        suffixes[default_suffixes().registrable(name).partition(".")[2]] += 1
    return [suffix for suffix, _ in suffixes.most_common(count) if suffix]


def recall(brands: Sequence[str], words: Sequence[str], suffixes: Sequence[str]) -> dict[str, Recall]:
    """What is found of the lookalikes that dnstwist makes of brands, by its fuzzer."""
    if importlib.util.find_spec("dnstwist") is None:
        raise ConfigError(
            "couldn't run the benchmark lookalikes: dnstwist is not installed; it is in the extra `bench`"
        )
    import dnstwist  # noqa: PLC0415  # an extra

    lookalikes = Lookalikes(brands)
    registrable = default_suffixes().registrable
    own = frozenset(brands)
    found: dict[str, Recall] = defaultdict(Recall)
    for brand in brands:
        fuzzer = dnstwist.Fuzzer(brand, list(words), list(suffixes))
        fuzzer.generate()
        for made in sorted((made["fuzzer"], made["domain"]) for made in fuzzer.domains):
            name = made[1]
            if made[0] == "*original" or name in own:
                continue
            result = found[made[0]]
            result.made += 1
            if any(one.watched == brand for one in lookalikes.find(name, registrable(name))):
                result.found += 1
            else:
                result.missed.append(f"{brand}: {name}")
    return found


def invented(count: int) -> list[str]:
    """Domains that nobody has, of syllables; always the same."""
    choose = random.Random(5)
    found: dict[str, None] = {}
    while len(found) < count:
        label = "".join(choose.choice(_SYLLABLES) for _ in range(choose.randint(2, 5)))
        found[f"{label}.{choose.choice(('com', 'net', 'org', 'co.uk'))}"] = None
    return list(found)


def speed(count: int, names: Sequence[str]) -> tuple[int, float, int]:
    """(watched domains, seconds to build, names per second of CPU)."""
    sample = random.Random(1).sample(names, min(_MEASURED, len(names)))
    asked = [asked for name in sample for asked in (name, f"www.{name}")]
    started = time.process_time()
    lookalikes = Lookalikes(invented(count))
    built = time.process_time() - started
    registrable = default_suffixes().registrable
    started = time.process_time()
    for name in asked:
        lookalikes.find(name, registrable(name))
    return count, round(built, 2), round(len(asked) / (time.process_time() - started))


def _hits_table(hits: dict[str, list[tuple[str, Lookalike]]], names: int, known: frozenset[str]) -> Table:
    """`known` are names that are well known themselves: what imitates a brand there is nobody's lure."""
    rows: list[tuple[str | int | float, ...]] = []
    for how, found in sorted(hits.items(), key=lambda pair: -len(pair[1])):
        well_known = sum(name in known for name, _ in found)
        rows.append((how, *_per_million(len(found), names), *_per_million(well_known, names), _examples(found)))
    total = sum(map(len, hits.values()))
    well_known = sum(name in known for found in hits.values() for name, _ in found)
    rows.append(("all", *_per_million(total, names), *_per_million(well_known, names), ""))
    return Table(
        title=f"Hits of {len(BRANDS)} brands per million names of the Tranco list ({names:,} names)",
        columns=("kind", "hits per million", "of them in the top 10,000", "examples"),
        rows=tuple(rows),
    )


def _per_million(count: int, names: int) -> tuple[int]:
    return (round(count * _MILLION / names),)


def _examples(found: Sequence[tuple[str, Lookalike]]) -> str:
    chosen = random.Random(2).sample(found, min(3, len(found)))
    return "\n".join(f"{name}: {one.watched}, {one.why}" for name, one in chosen)


def _others_table(tranco: Sequence[str], per_million: int) -> Table:
    hosts = listed("google-chrome-crux-1million")
    banks = random.Random(7).sample(sorted(set(_readable(listed("bank-website")))), 100)
    rows: list[tuple[str | int | float, ...]] = [("Tranco", "the brands", per_million)]
    for title, watched, names in (
        ("Tranco", "100 banks", tranco),
        ("Chrome's hosts", "the brands", hosts),
        ("Chrome's hosts", "100 banks", hosts),
    ):
        total = sum(map(len, imitations(banks if watched == "100 banks" else BRANDS, names).values()))
        rows.append((title, watched, *_per_million(total, len(names))))
    return Table(
        title="Hits per million of other lists and other brands (lists google-chrome-crux-1million, bank-website)",
        columns=("names", "watched", "hits per million"),
        rows=tuple(rows),
    )


def _readable(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            yield pattern(By.LOOKALIKE, name)
        except ReadError:
            continue


def _recall_table(recalls: dict[str, Recall]) -> Table:
    rows: list[tuple[str | int | float, ...]] = []
    for fuzzer, one in sorted(recalls.items()):
        missed = "\n".join(random.Random(3).sample(one.missed, min(3, len(one.missed))))
        rows.append((fuzzer, one.made, round(100 * one.share, 1), _CLAIMS.get(fuzzer, ""), missed))
    return Table(
        title="Recall of what dnstwist makes of the brands, by its fuzzer",
        columns=("fuzzer", "made", "found, %", "what we claim", "missed, for example"),
        rows=tuple(rows),
    )
