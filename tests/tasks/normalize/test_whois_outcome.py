from __future__ import annotations

from pathlib import Path

import pytest

from intel.registration import Outcome
from intel.registration_words import read_words
from tasks.normalize.whois import read_whois

WORDS = read_words((Path(__file__).parents[3] / "configs" / "registration.yaml").read_bytes())
TERMS = (
    "The data in this database is provided for information purposes only, and to assist persons in obtaining\n"
    "information about whether a name is still available or has been registered. You agree not to use processes that\n"
    "are automated and of high volume, nor to send too many queries; who has exceeded what is reasonable will find\n"
    "that access is denied or that his address has been blocked or permanently blacklisted. No data is\n"
    "guaranteed. Names that are reserved are not shown. All rights reserved by the registry.\n"
)


def outcome(text: str, *, domain: str = "lapse.example") -> Outcome:
    return read_whois(text.encode(), WORDS, domain=domain).outcome


@pytest.mark.parametrize(
    "text",
    [
        'No match for "LAPSE.EXAMPLE".',
        "No match!!",
        "lapse.example no match",
        "NOT FOUND",
        "not found...",
        "Domain not found.",
        "%ERROR:101: no entries found",
        "% No records found for object LAPSE.EXAMPLE",
        "% This query returned 0 objects.",
        "Object does not exist",
        "The queried object does not exist: lapse.example",
        "Domain lapse.example is available for purchase",
        "lapse.example is free",
        "Status: free",
        "Domain:\tlapse.example\nStatus:\tAVAILABLE",
        "Domain Name: lapse.example\nDomain Status: No Object Found",
        "Invalid query or domain name not known in the registry",
        "The domain has not been registered.",
        "Above domain name is not registered.",
        "We do not have an entry in our database matching your query.",
        "El dominio no se encuentra registrado",
        "Nincs talalat / No match",
        "Available\nDomain: lapse.example",
        "Domain unknown",
        "No Data Found",
        "nothing found",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}\n", "{}\n\n" + TERMS, TERMS + "\n{}\n", "% Registry of example\n%\n%% {}\n"])
def test_a_name_that_is_not_there_is_not_found_whatever_stands_around(text: str, around: str) -> None:
    assert outcome(around.format(text)) is Outcome.NOT_FOUND


@pytest.mark.parametrize(
    "text",
    [
        "WHOIS LIMIT EXCEEDED - SEE REGISTRY.EXAMPLE FOR DETAILS",
        "Query rate limit exceeded. Reduced information.",
        "% Maximum queries per hour reached (100)",
        "%% Too many requests...\n%%\n%% No entries found in the database.",
        "Excessive querying, grace period of 3 seconds.",
        "Number of allowed queries exceeded.",
        "Your request cannot be completed at this time due to query limit controls.",
        "55000000002 Connection refused; access control limit exceeded",
        "Please try again in 30 seconds",
        "Quota exceeded",
        "Your IP address has reached rate limit",
        "You have exceeded your query limit for today",
        "daily whois-limit exceeded for client",
        "Error for lapse.example.\nThe WHOIS query quota for 192.0.2.1 has been exceeded",
        "Please slow down and try later",
        "Too many simultaneous connections from your host",
        "Server too busy, try again later",
        "Lookup quota exceeded",
        "Maximum daily connection limit reached",
        "Request throttled",
        "Se ha superado el límite de consultas",
        "Es waren zu viele Anfragen gestellt",
        "Please wait a while before sending the next query",
    ],
)
@pytest.mark.parametrize("around", ["{}", "{}\n\nNo match for lapse.example\n", "% Registry of example\n%\n{}\n"])
def test_too_fast_is_never_not_found(text: str, around: str) -> None:
    assert outcome(around.format(text)) is Outcome.THROTTLED


@pytest.mark.parametrize(
    "text",
    [
        "-3: IP address blocked",
        "Access denied",
        "%ERROR:201: access denied for 192.0.2.1",
        "You have been banned for abuse.",
        "Your IP has been blacklisted",
        "You are not authorized to query this service",
        "Connection refused",
        "Forbidden",
    ],
)
@pytest.mark.parametrize("around", ["{}", "{}\n\nNOT FOUND\n"])
def test_go_away_is_never_not_found(text: str, around: str) -> None:
    assert outcome(around.format(text)) is Outcome.BLOCKED


@pytest.mark.parametrize(
    "text",
    [
        "Reserved by Registry",
        "Name is restricted from registration",
        "This name is reserved by the Registry in accordance with policy.",
        "Domain:\twww.lapse.example\nStatus:\tNOT ALLOWED\nMessage:\tUse only approved characters.",
        'Status: PREMIUM NAME (No match for domain "lapse.example")',
        'Error for "lapse.example".\n\nThis domain cannot be registered because it contravenes the naming rules.',
        "Invalid query",
        "TLD is not supported",
        "domain:  lapse.example\nexpiry:  17 April 2032\n\n% Application Pending - an application is being processed.",
    ],
)  # fmt: skip
def test_a_server_that_does_not_answer_for_the_name_is_unsupported(text: str) -> None:
    assert outcome(text) is Outcome.UNSUPPORTED


def test_terms_of_use_alone_say_nothing_about_the_name() -> None:
    assert outcome(TERMS) not in {Outcome.NOT_FOUND, Outcome.REGISTERED}


def test_rights_reserved_reserve_no_name() -> None:
    assert (
        outcome("Copyright Example Registry. All rights\nreserved.\n\nNot found: lapse.example\n") is Outcome.NOT_FOUND
    )


def test_a_record_outweighs_its_terms() -> None:
    text = "Domain Name: lapse.example\nCreation Date: 2020-01-02T00:00:00Z\nRegistrar: Example\n\n"
    assert outcome(text + "Too many requests and access denied follow for who is excessive.\n") is Outcome.REGISTERED


def test_a_list_of_name_servers_without_any_is_no_evidence() -> None:
    assert outcome("Name Server: none\n\nNot found: lapse.example\n") is Outcome.NOT_FOUND
