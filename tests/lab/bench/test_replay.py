from __future__ import annotations

from pathlib import Path

import pytest

from intel.config.patterns import read_settings
from intel.settings import CHECKOUT
from lab.bench._replay_case import cases
from lab.bench._replay_data import Replay, read_replay
from lab.bench.replay import lapsewatch, shared


@pytest.mark.slow
@pytest.mark.data
def test_one_campaign_is_found_again_among_strangers(data_dir: Path) -> None:
    whole = read_replay(data_dir)
    case = cases(Replay(rows=whole.rows, noise=whole.noise, names=whole.names[::50]), ["TEPCO"])[0]
    chosen = read_settings(CHECKOUT / "configs")
    ours = {way: judged.figures() for way, judged in lapsewatch(case, chosen).items()}
    assert {way: figures["found"] for way, figures in ours.items()} == {"split": 89, "rolling": 89}
    assert all(figures["precision"] >= 0.95 and figures["precision_50"] == 1.0 for figures in ours.values())
    exact = {way: judged.figures()["found"] for way, judged in shared(case, "exact").items()}
    assert exact == {"split": 89, "rolling": 89}
