"""One message through the library apprise: an address and a text in, what became of it out.

The library says only whether it went well. Never sending twice needs more: whether what went wrong can have arrived.
That is told from what the library says while it sends, on its logger: the status that a server answered, or the error
that it is handling at that moment.

  SENT      the service took it
  REFUSED   it certainly did not arrive: no connection, or the service said no
  DOUBTED   anything else: a time-out after the message left, a server's 500, a gateway's 502 or 504, a redirection
            that does not say to send it anew (RFC 9110, section 15.4), one of several recipients failed

Redirections are not followed: a message goes where the operator says, and a login page's 200 is no receipt.

Addresses are secrets, and the library's words hold them: they go to no log, and no word of them into an error.
"""

from __future__ import annotations

import logging
import re
import smtplib
import socket
import sys
import threading
import traceback
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from intel.errors import ConfigError
from tasks.publish.outbox_text import Message

if TYPE_CHECKING:
    import apprise

TIMEOUT: Final = 15.0
"""Seconds for connecting, and for each answer."""
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_UNSURE: Final = frozenset({301, 302, 303, 408, 499, 500, 502, 504})
"""Statuses after which nobody knows: it, or a server behind the one that answers, may have taken it."""
_ONE_LINE: Final = ("syslog", "rsyslog")


class Outcome(Enum):
    """What became of a message."""

    SENT = "sent"
    REFUSED = "refused"
    DOUBTED = "doubted"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to send; `why` is empty where it was sent, and holds no secret."""

    outcome: Outcome
    why: str = ""


class _Listener(logging.Handler):
    """What the library says in this thread: statuses, the errors that it handles, whether anything left."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.thread = threading.get_ident()
        self.statuses: list[int] = []
        self.errors: list[BaseException] = []
        self.left = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take note; nothing is kept of the words."""
        if record.thread != self.thread:
            return
        handled = sys.exc_info()[1]
        if handled is not None:
            self.errors.append(handled)
        said = record.getMessage()
        self.left |= said.startswith("Sent ")
        self.statuses += [int(found) for found in _STATUS.findall(said)]


def open_channel(name: str, address: str) -> apprise.NotifyBase:
    """The service at an address. Raises ConfigError, without the address in it, where the library knows none."""
    import apprise  # noqa: PLC0415 - half a second, for those who send

    _silence()
    found = apprise.Apprise.instantiate(address) if "://" in address else None
    if not isinstance(found, apprise.NotifyBase):
        raise ConfigError(
            f"couldn't use channel {name}: its address is none that apprise knows; nothing is sent there until it is"
        )
    found.socket_connect_timeout = TIMEOUT
    found.socket_read_timeout = TIMEOUT
    found.redirects = False
    return found


def send(service: apprise.NotifyBase, message: Message) -> Attempt:
    """Send one message, once: what the address says of repeating is not followed."""
    import apprise  # noqa: PLC0415 - as above

    body, title = message.body, message.title
    if service.protocol in _ONE_LINE:
        # A line of a log each: the second line would be a stranger's.
        body = " / ".join(line for line in body.splitlines() if line)
    listener = _Listener()
    log = logging.getLogger("apprise")
    log.addHandler(listener)
    try:
        sent = service.notify(
            body=body,
            title=title,
            notify_type=apprise.NotifyType.INFO,
            overflow=apprise.OverflowMode.TRUNCATE,
            body_format=apprise.NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001 - a plug-in of a hundred; whatever it was, it may have been sent
        listener.errors.append(error)
        sent = False
    finally:
        log.removeHandler(listener)
    return Attempt(outcome=Outcome.SENT) if sent else _what_went_wrong(listener)


def _silence() -> None:
    log = logging.getLogger("apprise")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    # It logs the path of each request, which is a chat's secret.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def _what_went_wrong(listener: _Listener) -> Attempt:
    if listener.statuses:
        status = listener.statuses[-1]
        unsure = listener.left or any(one in _UNSURE for one in listener.statuses)
        return Attempt(
            outcome=Outcome.DOUBTED if unsure else Outcome.REFUSED, why=f"the service answered with status {status}"
        )
    if not listener.errors:
        return Attempt(outcome=Outcome.DOUBTED, why="the service gave no reason")
    sure = not listener.left and all(_never_left(error) for error in listener.errors)
    names = ", ".join(dict.fromkeys(_named(error) for error in listener.errors))
    return Attempt(outcome=Outcome.REFUSED if sure else Outcome.DOUBTED, why=names)


def _named(error: BaseException) -> str:
    """An error without its words, which may hold the address."""
    code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
    return f"{type(error).__name__}{code}"


def _never_left(error: BaseException) -> bool:
    """Whether this can only have happened before the message left, or is the service's own refusal."""
    if isinstance(error, (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError)):
        return True
    if isinstance(error, (ConnectionRefusedError, socket.gaierror)):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    if any(frame.filename == smtplib.__file__ for frame in frames):
        # Before DATA (RFC 5321, section 4.1.1.4) no server has anything to deliver.
        return not any(frame.name == "data" for frame in frames)
    return _http_never_left(error)


def _http_never_left(error: BaseException) -> bool:
    import requests  # noqa: PLC0415 - as above
    from urllib3.exceptions import MaxRetryError, NewConnectionError  # noqa: PLC0415 - as above

    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError)):
        return True
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        return True
    inner: Any = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)
