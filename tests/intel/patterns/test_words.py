from __future__ import annotations

from intel.patterns.words import MOST, shared


def test_long_labels_ask_for_a_bounded_number_of_pieces() -> None:
    asked: list[str] = []

    def share(piece: str) -> float:
        asked.append(piece)
        return 0.0001

    same = "q7m2x9k4w8z1v5t3b6n0c"
    begun = {f"{number:03x}{same[number % 20 :]}{number * 7919 % 4096:03x}{number % 37:02}" for number in range(1500)}
    labels = {one + same[::-1]: 1.0 for one in sorted(begun)}
    found = shared(labels, share)
    assert len(asked) == len(set(asked)) == MOST
    assert same[::-1][:10] in found
    assert found == shared(dict(reversed(labels.items())), share)
