"""Logs of Zeek: conn, dns, ssl, x509, http and files become facts (`zeek_logs`, `flow_records`), in TSV or JSON lines.

What the same rows of a document say over and over is stated once, at its first and at its last time. Logs that state
nothing of infrastructure (weird.log, notice.log, ...) give neither facts nor rejects, so that a source may take a whole
folder of them. Locators are the first line of what was seen, with the number of lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.lines import line_reject
from tasks.normalize.sightings import Window
from tasks.normalize.zeek_logs import LOGS, WANTED, Log
from tasks.normalize.zeek_rows import read_rows


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:  # noqa: ARG001 - what every reader takes
    """Facts and rejects of every line. Raises ReadError for what is no log of Zeek."""
    window = Window(document.as_of)
    logs: dict[str, Log] = {}
    for found in read_rows(document, WANTED):
        if isinstance(found, Reject):
            yield found
            continue
        line, path, row = found
        log = logs.get(path)
        if log is None:
            log = logs[path] = LOGS[path](window)
        try:
            log.see(row, line)
        except ReadError as error:
            yield line_reject(line, str(error), "")
        if log.full:
            yield from log.facts()
    for log in logs.values():
        yield from log.facts()
