"""Content negotiation: the Accept header (RFC 9110, section 12.5.1; TAXII 2.1, sections 1.6.8.1 and 1.6.8.2)."""

from __future__ import annotations

from typing import Final

_TYPE: Final = "application/taxii+json"
_VERSION: Final = "2.1"
_RANGES: Final = {_TYPE: 2, "application/*": 1, "*/*": 0}
_MAX_RANGES: Final = 64


def acceptable(header: str) -> bool:
    """Whether our media type is among what an Accept header asks for; an empty one asks for anything.

    The most specific range that covers the type decides; one without a version is as good as one with ours.
    """
    if not header.strip():
        return True
    best: tuple[int, float] = (-1, 0.0)
    for media_range in header.split(",")[:_MAX_RANGES]:
        name, *rest = (part.strip().lower() for part in media_range.split(";"))
        parameters = dict(_parameter(part) for part in rest if part)
        specific = _RANGES.get(name)
        version = parameters.get("version")
        if specific is None or version not in {None, _VERSION}:
            continue
        best = max(best, (specific * 2 + (version is not None), _quality(parameters.get("q", "1"))))
    return best[1] > 0


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0) if len(text) <= 8 else 0.0
    except ValueError:
        return 0.0
