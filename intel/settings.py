"""Settings of this installation, from the environment (prefix `LAPSEWATCH_`); secrets come from nowhere else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT: Final = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What the environment says.

    `home` holds the embedded database and the document store; `configs` the data files that say what to pull and watch.
    `database_url` names another PostgreSQL (15 or newer) in place of the embedded one.
    """

    model_config = SettingsConfigDict(env_prefix="LAPSEWATCH_", frozen=True)

    home: Path = Path.home() / ".lapsewatch"
    configs: Path = CHECKOUT / "configs"
    database_url: SecretStr | None = None
    data: Path = CHECKOUT.parent / "shared" / "data"
    taxii_host: str = "127.0.0.1"
    taxii_port: int = 6100
    prefect_port: int = 4200
    documents: Path | None = None
    """Folder of raw documents, where hosts share one; empty takes `home`/documents."""

    @property
    def document_store(self) -> Path:
        """Where raw documents lie."""
        return self.documents or self.home / "documents"


@cache
def settings() -> Settings:
    """The settings, read once per process."""
    return Settings()
