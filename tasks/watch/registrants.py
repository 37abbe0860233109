"""What a value says that registrations have in common: an entity in, what makes it say little about anybody out.

A privacy service's name, a placeholder or a role mailbox is shared by strangers. Readers of registration tell most of
them apart (`configs/registration.yaml`); a feed states them as values.
"""

from __future__ import annotations

from intel.entities import Entity
from tasks.pivot.hub_lists import Annotation
from tasks.pivot.hubs import annotate, nobodys


def annotate_registrant(value: Entity) -> list[Annotation]:
    """What lists and the words of registration say of a registrant's name, e-mail or phone."""
    said = annotate(value)
    said += [Annotation(list=hub.list, hub=hub.hub, takes=hub.takes, why=hub.why) for hub in nobodys(value)]
    return said
