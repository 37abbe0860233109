"""TLP 2.0 as STIX marking definitions, with the ids that are the same everywhere."""

from __future__ import annotations

from typing import Final

from stix2.v21 import MarkingDefinition

from intel.facts import TLP

_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_CREATED: Final = "2022-10-01T00:00:00.000Z"
TLP_MARKINGS: Final = {
    TLP.CLEAR: "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    TLP.GREEN: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    TLP.AMBER: "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    TLP.AMBER_STRICT: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    TLP.RED: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}


def tlp_marking(tlp: TLP) -> MarkingDefinition:
    """The marking definition of a TLP 2.0 label."""
    return MarkingDefinition(
        id=TLP_MARKINGS[tlp],
        created=_CREATED,
        name=tlp.label,
        extensions={
            _EXTENSION: {"extension_type": "property-extension", "tlp_2_0": tlp.label.removeprefix("TLP:").lower()}
        },
    )
