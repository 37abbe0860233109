"""Which reader reads which format, and what becomes of a document that is not what it claims.

In: a document and its source. Out: facts and rejects, whatever the format.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from intel.config.sources import Format, Source
from intel.errors import ConfigError, ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize import (
    csv,
    ct_archived,
    dnsdb,
    galaxy,
    json,
    maltrail,
    misp,
    nfdump,
    pdns,
    scan,
    stix,
    warninglist,
    zeek,
)
from tasks.normalize import list as plain_list

log = logging.getLogger(__name__)

Reader = Callable[[RawDocument, Source], Iterator[Fact | Reject]]

READERS: Final[Mapping[Format, Reader]] = {
    Format.LIST: plain_list.read,
    Format.CSV: csv.read,
    Format.JSON: json.read,
    Format.MISP: misp.read,
    Format.STIX: stix.read,
    Format.MALTRAIL: maltrail.read,
    Format.GALAXY: galaxy.read,
    Format.CT: ct_archived.read,
    Format.PDNS: pdns.read,
    Format.DNSDB: dnsdb.read,
    Format.ZEEK: zeek.read,
    Format.NFDUMP: nfdump.read,
    Format.SCAN: scan.read,
    Format.WARNINGLIST: warninglist.read,
}
"""Of a log, the documents are what was kept of it: the entries that touched a watch."""


def read_document(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """What the document says; a document that fails, at once or on the way, ends in one reject with locator "".

    Raises ConfigError where the source's entry cannot be used: that is ours to correct, not the document's fault.
    """
    reader = READERS.get(source.format)
    if reader is None:
        yield Reject(locator="", reason=f"couldn't read a document: format {source.format} has no documents")
        return
    try:
        yield from reader(document, source)
    except ReadError as error:
        yield Reject(locator="", reason=str(error))
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of a reader costs the document, never the run
        yield Reject(locator="", reason=f"fault of Lapsewatch: {type(error).__name__}; see the log")
        _log(document, source, error)


def _log(document: RawDocument, source: Source, error: Exception) -> None:
    """Where it happened; never what the error says, which may quote the document."""
    log.error(
        "couldn't read document %s of %s: fault of Lapsewatch: %s; the document is kept\n%s",
        document.document_id,
        source.name,
        type(error).__name__,
        "".join(traceback.format_tb(error.__traceback__)),
    )
