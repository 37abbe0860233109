from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import click
import pytest
import typer
import yaml
from typer.main import get_command

from intel.config.ct import read_ct
from intel.config.evidence import read_evidence
from intel.config.lapses import read_lapses
from intel.config.lookups import read_lookups
from intel.config.newdomains import read_new_domains
from intel.config.notify import read_notify
from intel.config.organisation import read_organisation
from intel.config.prevalence import read_counting
from intel.config.publishing import read_publishing
from intel.config.registrars import read_registrars
from intel.config.sources import Source, read_network, read_sources
from intel.config.watches import read_watches
from intel.rdap_bootstrap import REGISTRIES, read_bootstrap
from intel.registration_words import read_words

CHECKOUT: Final = Path(__file__).resolve().parent.parent
CONFIGS: Final = CHECKOUT / "configs"
LAYERS: Final = ("intel", "db", "tasks", "flows", "apps")
TOO_LONG: Final = 400

# Longer than TOO_LONG, with what the first line of the docstring must say of the reason.
LONG: Final = {"db/models.py": "its tables, each with its comment"}

# Statements without a comment yet. A new one is commented; one that gets its comment is taken off.
UNCOMMENTED: Final = {
    "db/embedded/__init__.py: _LIST",
    "db/enrich.py: _TIES",
    "db/publishing.py: _ELSEWHERE",
    "db/status.py: FINDINGS",
    "db/view.py: FINDINGS",
    "db/watching.py: LOCK_ITEMS",
    "db/watching.py: _UPSERT_LISTED",
    "db/watching_match.py: MARK_CHUNK",
    "db/watching_rules.py: _CERTIFICATE_NAME",
    "db/watching_rules.py: _EXACT",
    "db/watching_rules.py: _NEW_RESOLUTION",
    "db/watching_rules.py: _REUSED_CERTIFICATE",
    "db/watching_rules.py: _MIXED_CERTIFICATE",
    "db/watching_rules.py: _SAME_ADDRESS",
    "db/watching_rules.py: _SAME_DOMAIN",
    "db/watching_store.py: INSERT_FINDINGS",
}

# What must load without Prefect: it takes a second, and the worker is not the only one to run them.
PLAIN: Final = (
    "apps.cli.main",
    "apps.taxii.app",
    "db.load",
    "tasks.assess.investigation",
    "tasks.collect.slices",
    "tasks.enrich.registration",
    "tasks.load.ct",
    "tasks.load.load",
    "tasks.normalize.stage",
    "tasks.publish.publish",
    "tasks.watch.certificates",
    "tasks.watch.registrations",
)


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def imported(path: Path) -> set[str]:
    """The packages that a module imports anywhere in it, functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout, so what is committed is not known")
    paths = [CHECKOUT / one for one in listed.stdout.split("\0") if one]
    return [path for path in paths if path.is_file()]


def is_task(path: Path) -> bool:
    return name(path).startswith("tasks/") and (path.name == "task.py" or path.name.endswith("_task.py"))


# --- imports


def test_only_flows_and_task_modules_import_prefect() -> None:
    users = {name(path) for path in modules(*LAYERS) if "prefect" in imported(path)}
    assert {one for one in users if not one.startswith("flows/") and not is_task(CHECKOUT / one)} == set()
    assert any(one.startswith("flows/") for one in users)


def test_intel_is_pure() -> None:
    foreign = {"alembic", "apps", "db", "flows", "httpx", "lab", "prefect", "psycopg", "sqlalchemy", "tasks"}
    assert {name(path): imported(path) & foreign for path in modules("intel") if imported(path) & foreign} == {}


def test_only_the_demo_imports_the_lab() -> None:
    users = {name(path) for path in modules(*LAYERS) if "lab" in imported(path)}
    assert users == {"apps/cli/demo.py"}


def test_plain_modules_load_without_prefect_and_pure_ones_without_the_database() -> None:
    pure = [
        "intel." + path.relative_to(CHECKOUT / "intel").with_suffix("").as_posix().replace("/", ".")
        for path in modules("intel")
        if path.name != "__init__.py"
    ]
    program = (
        "import sys, importlib\n"
        f"[importlib.import_module(one) for one in {pure!r}]\n"
        "assert not {'sqlalchemy', 'httpx', 'prefect', 'psycopg'} & set(sys.modules), 'intel is not pure'\n"
        f"for one in {PLAIN!r}:\n"
        "    importlib.import_module(one)\n"
        "    assert 'prefect' not in sys.modules, f'{one} loads prefect'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


# --- modules


@pytest.mark.parametrize("folder", [*LAYERS, "lab"])
def test_every_module_says_what_it_is(folder: str) -> None:
    # An empty __init__.py says nothing because there is nothing.
    silent = [
        name(path)
        for path in modules(folder)
        if path.read_text("utf-8").strip() and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_a_long_module_says_why_on_its_first_line() -> None:
    lengths = {name(path): len(path.read_text("utf-8").splitlines()) for path in modules(*LAYERS, "lab")}
    near = {one: length for one, length in lengths.items() if length > 300}
    silent = []
    for one, length in lengths.items():
        first = (ast.get_docstring(ast.parse((CHECKOUT / one).read_text("utf-8"))) or "").partition("\n")[0]
        if length > TOO_LONG and not (one in LONG and LONG[one] in first):
            silent.append(one)
    assert silent == [], f"too long; those over 300 lines are {near}"


def statements(path: Path) -> dict[str, bool]:
    """Name of each SQL constant of a module -> whether a comment stands above it or a docstring below."""
    text = path.read_text("utf-8")
    lines, body = text.splitlines(), ast.parse(text).body
    found = {}
    for node, after in zip(body, [*body, ast.Pass()][1:], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        value = node.value
        if isinstance(value, ast.JoinedStr):
            value = value.values[0]
        sql = value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
        if "Final" in ast.unparse(node.annotation) and re.match(r"\s*(SELECT|INSERT|UPDATE|WITH|DELETE)\b", sql):
            documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            found[node.target.id] = lines[node.lineno - 2].startswith("#") or documented
    return found


def test_sql_is_commented() -> None:
    silent = {f"{name(path)}: {one}" for path in modules("db") for one, said in statements(path).items() if not said}
    assert silent - UNCOMMENTED == set(), "say above each what it finds and which index it uses"


# --- what is committed


def test_no_committed_file_names_a_package_registry_or_a_place_on_this_machine() -> None:
    # Put together here, so that this file names none of them.
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("crates", "io"),
            ("rubygems", "org"), ("proxy", "golang", "org"), ("registry", "yarnpkg", "com"), ("anaconda", "org"),
            ("repo1", "maven", "org"), ("nuget", "org"), ("packagist", "org"), ("hub", "docker", "com"),
            ("deb", "debian", "org"),
        )
    ]  # fmt: skip
    places = [f"/{folder}/" for folder in ("work", "root", "home")]
    # A place begins a path: `a/home/b` and `https://x.example/home/` are none.
    pattern = re.compile(
        "|".join(
            [
                *(rf"\b{re.escape(host)}\b" for host in hosts),
                *(rf"(?<![\w.)}}\]/*-]){re.escape(one)}" for one in places),
            ]
        )
    )
    found = []
    for path in tracked():
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name(path)}:{number}: {line.strip()[:100]}")
    assert found == []


# --- the command


def commands() -> dict[str, click.Command]:
    """Every command by what a person types after `lapsewatch`."""
    from apps.cli.main import app

    found: dict[str, click.Command] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        if hasattr(command, "commands"):
            for word, below in command.commands.items():
                walk(below, (*words, word))
            if words:
                found[" ".join(words)] = command
        else:
            found[" ".join(words)] = command

    walk(get_command(app), ())
    return found


def test_every_command_and_option_is_explained() -> None:
    found = commands()
    assert {"watch add", "db check", "ct resume", "why"} <= set(found)
    assert [words for words, command in found.items() if not (command.help or "").strip()] == []
    silent = [
        f"{words} {parameter.opts[0]}"
        for words, command in found.items()
        for parameter in command.params
        if isinstance(parameter, typer.core.TyperOption) and parameter.name != "help" and not parameter.help
    ]
    assert silent == []


def test_every_command_is_in_the_documents_as_its_help_says() -> None:
    page = (CHECKOUT / "docs" / "commands.md").read_text("utf-8")
    rows = [
        f"| `{words}` | {' '.join((command.help or '').partition(chr(10) * 2)[0].split())} |"
        for words, command in sorted(commands().items())
        if not hasattr(command, "commands")
    ]
    assert [row for row in rows if row not in page] == [], "docs/commands.md lacks these"
    listed = [line for line in page.splitlines() if line.startswith("| `")]
    assert [line for line in listed if line not in rows] == [], "docs/commands.md says these of no command"


# --- data files


def test_every_file_of_configs_is_read_by_a_schema() -> None:
    from intel.config.hubs import read_hub_values, read_hubs
    from intel.config.patterns import read_settings

    readers: dict[str, Callable[[], object]] = {
        "ct.yaml": lambda: read_ct(CONFIGS),
        "evidence.yaml": lambda: read_evidence(CONFIGS),
        "hubs.yaml": lambda: read_hubs(CONFIGS / "hubs.yaml"),
        "hubs-values.yaml": lambda: read_hub_values(CONFIGS / "hubs-values.yaml"),
        "lapses.yaml": lambda: read_lapses(CONFIGS),
        "lookups.yaml": lambda: read_lookups(CONFIGS),
        "notify.yaml": lambda: read_notify(CONFIGS),
        "network.yaml": lambda: read_network(CONFIGS),
        "newdomains.yaml": lambda: read_new_domains(CONFIGS),
        "organisation.yaml": lambda: read_organisation(CONFIGS),
        "patterns.yaml": lambda: read_settings(CONFIGS),
        "prevalence.yaml": lambda: read_counting(CONFIGS),
        "publishing.yaml": lambda: read_publishing(CONFIGS),
        "rdap": lambda: read_bootstrap({name: (CONFIGS / "rdap" / f"{name}.json").read_bytes() for name in REGISTRIES}),
        "registrars.yaml": lambda: read_registrars(CONFIGS),
        "registration.yaml": lambda: read_words((CONFIGS / "registration.yaml").read_bytes()),
        "sources": lambda: read_sources(CONFIGS),
        "watches": lambda: read_watches(CONFIGS),
    }
    there = {path.relative_to(CONFIGS).parts[0] for path in CONFIGS.rglob("*") if path.is_file()}
    assert there - set(readers) == set(), "a file that nothing reads"
    for read in readers.values():
        read()


def timetable() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text("utf-8"))["deployments"]
    return found


@pytest.mark.parametrize("deployment", timetable(), ids=lambda one: str(one["name"]))
def test_a_deployment_fits_its_flow(deployment: dict[str, Any]) -> None:
    path, _, flow_name = deployment["entrypoint"].partition(":")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    signature = inspect.signature(getattr(module, flow_name).fn)
    given = deployment.get("parameters", {})
    if deployment.get("schedules") or deployment.get("triggers"):
        signature.bind(**given)  # nobody is there to fill in what is missing
    else:
        signature.bind_partial(**given)
    if "cadence" in given:
        assert given["cadence"] in cadences()


def cadences() -> set[str]:
    return set(get_args(Source.model_fields["cadence"].annotation))


def test_every_cadence_has_a_deployment() -> None:
    collected = {one["parameters"]["cadence"] for one in timetable() if "cadence" in one.get("parameters", {})}
    followed = {one["name"] for one in timetable() if one["entrypoint"] == "flows/follow_log.py:follow_logs"}
    assert followed == {"logs"}
    # Logs are the continuous ones; a person collects from the manual ones.
    assert collected == cadences() - {"continuous", "manual"}


def test_every_continuous_source_is_a_log() -> None:
    assert {one.transport for one in read_sources(CONFIGS).values() if one.cadence == "continuous"} <= {"ct"}
