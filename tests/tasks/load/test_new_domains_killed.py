from __future__ import annotations

import signal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db import runs
from tests import factories
from tests.tasks.load.test_new_domains import FACTS, SEEN, rows
from tests.tasks.load.test_zones_killed import FORGET, dying, let_go


def begin(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(FORGET))
        watch = factories.watch(connection, "heron", rules=["*"], origin="command")
        for name in ("evil-1.example", "n3.example", "n25.example"):
            factories.watch_item(connection, watch, name, match="scope", kind="")


def end(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        asked = runs.read_cursor(connection, "new-domains:asked")
    return {
        "seen": rows(engine, SEEN),
        "facts": rows(engine, FACTS),
        "documents": rows(engine, "SELECT location, loaded FROM document WHERE loaded ORDER BY 1"),
        "rejects": rows(engine, "SELECT locator, reason FROM reject ORDER BY 1, 2"),
        "wanted": rows(engine, "SELECT e.value FROM lookup l JOIN entity e ON e.id = l.entity_id ORDER BY 1"),
        "budget": (asked or {}).get("matched"),
        "staging": rows(engine, "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"),
    }


@pytest.mark.slow
def test_lists_whose_load_is_killed_anywhere_are_neither_lost_nor_doubled(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for day in (1, 2, 3):
        names = [f"n{number}.example" for number in range(20 * (day - 1), 20 * day)]
        lines = [*names, f"evil-{day}.example", "n3.example", "no name"]
        (folder / f"2026-03-0{day}.txt").write_text("\n".join(lines))
    random, kills = Random(20261124), 0
    with dying(str(folder), "tests.tasks.load.lists_and_die") as die:
        begin(engine)
        status, calls = die(-1)
        assert status == 0
        expected = end(engine)
        assert len(expected["seen"]) == 63
        assert expected["wanted"] == [("evil-1.example",), ("n25.example",), ("n3.example",)]
        assert (expected["budget"], len(expected["documents"]), len(expected["rejects"])) == (3, 3, 3)
        while kills < 20:
            begin(engine)
            status, most = -signal.SIGKILL, calls
            while status == -signal.SIGKILL:
                status, _ = die(-1 if kills >= 20 else random.randrange(1, most))
                if status == -signal.SIGKILL:
                    kills += 1
                    let_go(engine, "source:lists")
                most = max(2, most * 3 // 4)
            assert status == 0
            assert end(engine) == expected
