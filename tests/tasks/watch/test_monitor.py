from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from db import status
from intel.config.watches import WatchedItem
from intel.errors import WarehouseError
from tasks.watch import registrations

if TYPE_CHECKING:
    from tests.tasks.watch.world import Say, World

# The database refuses to judge one batch, quoting what it was about.
POISON = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.batch_id = {batch} AND NEW.monitor = 'registrations' THEN
        RAISE EXCEPTION 'no row for jane.doe@victim.example' USING ERRCODE = '22000';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON judgement FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def backlog(world: World) -> dict[str, object]:
    with world.engine.connect() as connection:
        (row,) = [row for row in status.backlog(connection) if row["monitor"] == "registrations"]
    return row


def test_a_batch_that_cannot_be_judged_spares_the_others(
    world: World, say: type[Say], caplog: pytest.LogCaptureFixture
) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"))
    first = world.load(say.listed("a.evil.example")).batch_id
    world.load(say.listed("b.evil.example"))
    world.load(say.listed("c.evil.example"))
    with world.engine.begin() as connection:
        connection.exec_driver_sql(POISON.format(batch=first))
    for _ in range(2):
        with pytest.raises(WarehouseError, match=rf"couldn't judge 1 batches .* {first} \(.*SQLSTATE 22000") as caught:
            registrations.monitor(world.engine)
        assert "jane.doe" not in str(caught.value) + caplog.text
        # The sweep of the new item looked at all of them.
        assert len(world.found()) == 3
    assert world.execute("SELECT count(*) FROM judgement WHERE monitor = 'registrations'") == [(2,)]
    told = backlog(world)
    assert (told["batches"], told["overtaken"]) == (1, [first])
    assert told["oldest"] is not None

    with world.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER refuse ON judgement"))
    assert registrations.monitor(world.engine).batches == 1
    assert (backlog(world)["batches"], backlog(world)["overtaken"], backlog(world)["oldest"]) == (0, [], None)


def test_a_database_that_goes_away_is_not_asked_for_every_batch(world: World, say: type[Say]) -> None:
    for number in range(3):
        world.load(say.listed(f"n{number}.example"))
    with world.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION quit() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;"
            "CREATE TRIGGER quit BEFORE INSERT ON judgement FOR EACH ROW EXECUTE FUNCTION quit()"
        )
    began = time.monotonic()
    with pytest.raises(Exception, match="terminating connection"):
        registrations.monitor(world.engine)
    assert time.monotonic() - began < 5
