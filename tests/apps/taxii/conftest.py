from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import Engine

from apps.taxii.app import create_app
from apps.taxii.resources import Description
from db import publishing
from db.engine import open_engine
from db.partners import create_partner
from intel.config.organisation import Organisation
from intel.config.publishing import CollectionEntry, Publishing
from lab.server import serve
from tasks.publish.publish import publish
from tests import factories

POLICY: Final = Publishing(
    identity=UUID("1769c10f-a825-4692-91f6-c9a4580a9fe3"),
    collections=(
        CollectionEntry(
            id=UUID("d2a0b40b-5fe3-46f7-a573-deca545d50b2"),
            alias="community",
            title="Community",
            description="For all",
            tlp_ceiling="TLP:GREEN",
        ),
        CollectionEntry(
            id=UUID("1ac7e36f-7903-40c0-841a-18905d3215fa"), alias="partners", title="Partners", tlp_ceiling="TLP:AMBER"
        ),
    ),
)
COMMUNITY, PARTNERS = POLICY.collections


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A running server on a warehouse. `key` reads the community's collection, `wide_key` both, `bare_key` none."""

    url: str
    engine: Engine
    key: str
    wide_key: str
    bare_key: str

    def get(self, path: str, *, key: str | None = None, headers: dict[str, str] | None = None, **query: Any) -> Any:
        auth = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.get(self.url + path, headers=auth | (headers or {}), params=query or None)

    def objects(self, **query: Any) -> Any:
        return self.get("/api/collections/community/objects/", **query)

    def publish(self, *names: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            for name in names:
                factories.found(connection, value=name, **values)
        publish(self.engine, POLICY, Organisation(name="Harbour CERT"))


@pytest.fixture
def server(database_url: str) -> Iterator[Server]:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        publishing.ensure_collections(connection, [entry.row() for entry in POLICY.collections])
        key = create_partner(connection, "Pier CERT", ["community"])
        wide = create_partner(connection, "Quay CERT", ["community", "partners"])
        bare = create_partner(connection, "Dock CERT", [])
    app = create_app(
        database_url, description=Description(title="Harbour", description="Findings", contact="a@b.example")
    )
    with serve(app) as served:
        yield Server(url=served.url, engine=engine, key=key, wide_key=wide, bare_key=bare)
    engine.dispose()
