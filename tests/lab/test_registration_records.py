from __future__ import annotations

from datetime import timedelta

import pytest

from lab.registration_records import (
    DAY_ONE,
    Person,
    Record,
    Registry,
    drop,
    edit,
    expire,
    hide,
    history,
    register,
    renew,
    seize,
    transfer,
)

DAY = timedelta(days=1)


def stands(registry: Registry, day: float) -> Record | None:
    registry.now = DAY_ONE + day * DAY
    return registry.record("life.example")


def test_a_life_from_registration_to_the_next_owner() -> None:
    buyer = Person(name="Invented Buyer", email="buyer@post.example", handle="C2-LAB")
    registry = Registry(
        versions={
            "life.example": history(
                (DAY_ONE, register(days=30)),
                (DAY_ONE + 2 * DAY, hide("declared")),
                (DAY_ONE + 10 * DAY, transfer("Another Registrar Ltd", "9998")),
                (DAY_ONE + 20 * DAY, renew(days=30, privacy="declared")),
                (DAY_ONE + 60 * DAY, expire()),
                (DAY_ONE + 90 * DAY, drop()),
                (DAY_ONE + 95 * DAY, register(registrant=buyer)),
            )
        }
    )
    assert stands(registry, -1) is None
    told = {day: stands(registry, day) for day in (0, 2, 10, 20, 60, 90, 95)}
    first, hidden, moved, renewed, gone, sold = (told[day] for day in (0, 2, 10, 20, 60, 95))
    assert first
    assert hidden
    assert moved
    assert renewed
    assert gone
    assert sold
    assert first.shown == Person()
    assert hidden.shown is None
    assert (moved.registrar_iana_id, moved.shown) == ("9998", Person())
    assert (renewed.expires, renewed.updated) == (DAY_ONE + 60 * DAY, DAY_ONE + 20 * DAY)
    assert "redemption period" in gone.statuses
    assert told[90] is None
    assert (sold.created, sold.shown) == (DAY_ONE + 95 * DAY, buyer)


def test_a_seized_domain_keeps_its_dates_and_loses_its_name_servers() -> None:
    first, taken = (record for _, record in history((DAY_ONE, register()), (DAY_ONE + DAY, seize())))
    assert first
    assert taken
    assert taken.created == first.created
    assert set(taken.name_servers).isdisjoint(first.name_servers)
    assert "server transfer prohibited" in taken.statuses


def test_what_is_shown_is_as_old_as_the_registry_says() -> None:
    registry = Registry(versions={"life.example": history((DAY_ONE, register()))}, lag=timedelta(hours=2))
    assert stands(registry, 1 / 24) is None
    assert stands(registry, 3 / 24) is not None
    assert registry.as_of == registry.now - timedelta(hours=2)


@pytest.mark.parametrize("change", [hide(), edit(), renew(), expire(), seize()])
def test_what_nobody_holds_cannot_be_changed(change: object) -> None:
    with pytest.raises(AssertionError):
        history((DAY_ONE, change))  # type: ignore[arg-type]  # any change
    with pytest.raises(AssertionError):
        history((DAY_ONE, register()), (DAY_ONE + DAY, register()))
