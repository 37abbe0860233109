from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from lab.receivers import web_hook

if TYPE_CHECKING:
    import pytest

    from tests.apps.cli.conftest import Lapsewatch

CHANNEL = """
channels:
  - {name: soc, url_from: TOLD_SOC, tlp_ceiling: TLP:AMBER}
"""


def test_the_queue_is_grouped_and_a_group_is_closed_at_once(told: Lapsewatch) -> None:
    rows = told("findings", "--json").json
    assert [row["points"] for row in rows if row["group"] == row["finding"]] == sorted(
        (row["points"] for row in rows if row["group"] == row["finding"]), reverse=True
    )
    largest = max(rows, key=lambda row: row["group_size"])
    members = {row["finding"] for row in rows if row["group"] == largest["group"]}
    assert len(members) == largest["group_size"] > 1
    said = told("findings")
    assert "findings share" in said.stdout
    assert said.widest <= 80
    flat = told("findings", "--flat", "--limit", "3")
    assert "findings share" not in flat.stdout
    assert "more: --flat and --limit show them" in flat.stdout
    assert {row["rule"] for row in told("findings", "--rule", largest["rule"], "--json").json} == {largest["rule"]}
    assert told("findings", "--since", "2999-01-01", "--json").json == []
    assert all(row["severity"] >= 70 for row in told("findings", "--min-severity", "70", "--json").json)
    told("acknowledge", str(largest["finding"]), "--group")
    closed = {row["finding"] for row in told("findings", "--status", "acknowledged", "--json").json}
    assert closed == members
    told("reopen", *map(str, members))
    assert "acknowledged" in told("why", str(largest["finding"])).stdout
    told("confirm", "999999", code=4)


def test_a_dismissal_teaches_and_is_undone(told: Lapsewatch) -> None:
    rows = told("findings", "--json").json
    first = next(row for row in rows if row["rule"] == "same-domain")
    number = str(first["finding"])
    told("dismiss", number, "--reason", "ours", "--for", "nobody", code=2)
    assert "learnt" not in told("dismiss", number, "--reason", "x", "--for", "nothing").stdout
    told("reopen", number)
    said = told("dismiss", number, "--reason", "ours", "--for", "everything", "--on", first["subject"]).stdout
    assert "learnt: what touches" in said
    [taught] = told("findings", "suppressions", "--json").json
    assert (taught["reason"], taught["watch"], taught["rule"], taught["finding"]) == ("ours", "", "", first["finding"])
    assert told("findings", "suppressions").widest <= 80
    told("findings", "unsuppress", str(taught["suppression"]))
    told("findings", "unsuppress", str(taught["suppression"]), code=4)
    assert "nothing is suppressed" in told("findings", "suppressions").stdout
    [card] = [row for row in told("findings", "scorecard", "--json").json if row["dismissed"]]
    assert (card["dismissed"], card["precision"]) == (1, 0.0)
    assert told("findings", "scorecard", "--rules").widest <= 80


def test_what_others_wrote_reaches_no_terminal(told: Lapsewatch) -> None:
    number = told("findings", "--json").json[0]["finding"]
    told.rows("UPDATE finding SET title = :title WHERE id = :id", title="a\u009b31mb\x1b[2Jc", id=number)
    for words in (("findings",), ("findings", "--flat"), ("why", str(number))):
        assert not {"\u009b", "\x1b"} & set(told(*words).stdout)


def test_findings_are_exported(told: Lapsewatch, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(told("findings", "export", "--tlp", "red").stdout)))
    assert {int(row["finding"]) for row in rows} == {row["finding"] for row in told("findings", "--json").json}
    bundle = json.loads(told("findings", "export", "--format", "stix", "--tlp", "amber").stdout)
    assert bundle["type"] == "bundle"
    assert any(thing["type"] == "indicator" for thing in bundle["objects"])
    path = tmp_path / "hosts"
    told("findings", "export", "--format", "hosts", "--tlp", "red", "--min-severity", "0", "--to", str(path))
    head, *lines = path.read_text("utf-8").splitlines()
    assert head.endswith(f"{len(lines)} entries")
    assert all(line.startswith("0.0.0.0 ") for line in lines)
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".hosts")] == []
    assert "left out: --tlp lets them in" in told("findings", "export", "--tlp", "clear").stderr
    told("findings", "export", "--format", "pdf", code=2)
    told("findings", "export", "--tlp", "pink", code=2)


def test_the_outbox_is_shown_tested_and_retried(told: Lapsewatch, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the outbox is empty" in told("outbox", "list").stdout
    told("outbox", "test", "soc", code=2)
    (told.configs / "notify.yaml").write_text(CHANNEL, "utf-8")
    told("outbox", "test", "soc", code=2)
    with web_hook() as hook:
        monkeypatch.setenv("TOLD_SOC", f"json://127.0.0.1:{hook.port}/")
        assert "took it" in told("outbox", "test", "soc").stdout
        hook.does = [503]
        assert "did not arrive" in told("outbox", "test", "soc", code=1).stdout
        hook.does = ["take"]
        _through_prefects_tasks(told)
        assert len(hook.took) == 3
    number = told("findings", "--json").json[0]["finding"]
    told.rows(
        "INSERT INTO delivery (channel, key, finding_id, kind, day, attempts, error)"
        " VALUES ('soc', 'finding:0:1', :id, 'new', '2026-03-01', 8, 'refused')",
        id=number,
    )
    assert "given up" in told("outbox", "list").stdout
    assert "were refused too often" in told("status", code=1).stdout
    told("outbox", "list", "--state", "lost", code=2)
    [row] = told("outbox", "list", "--state", "given up", "--json").json
    told("outbox", "retry", str(row["delivery"]))
    told("outbox", "retry", str(row["delivery"]), code=1)
    assert told("outbox", "list", "--json").json[0]["state"] == "waiting"


def _through_prefects_tasks(told: Lapsewatch) -> None:
    """What the flow does: one finding is made new, and sent."""
    from tasks.publish import outbox_task

    assert outbox_task.enqueue.fn().at_once == 0
    told.rows("UPDATE finding SET found_at = clock_timestamp(), severity = 90 WHERE id = (SELECT min(id) FROM finding)")
    enqueued = outbox_task.enqueue.fn()
    assert enqueued.at_once == 1
    assert outbox_task.send.fn(enqueued).sent == 1
