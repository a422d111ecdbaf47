"""`scripts/provision.py` sets production up from nothing, and sees whoever may more or less."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from conftest import its_own
from feast_copy import ROOT, copy_of_the_whole_project, run
from postgres_server import Database, PostgresServer
from production import asked_for
from redis_server import RedisServer
from sqlalchemy.engine import make_url
from warehouse import ROLES, TRAINING

from jobs.provisioning.logins import Login, logins_from, refused_entry
from jobs.provisioning.provision import Verdict, provision, provision_log
from jobs.provisioning.rights import due_to, judged, rights_of
from scripts.provision import main
from storage.errors import RefusedError

pytest_plugins = ["postgres_server", "warehouse"]

OWNER = "warehouse_owner"
SECRETS = ["p%ssw:rd @f/the 'refresher' ü", "of the trainer", "of retention", "of the judge"]
LOGINS = [
    Login("refresher", SECRETS[0], ("pipeline", "registry")),
    Login("trainer", SECRETS[1], ("training", "registry_reader")),
    Login("letting go", SECRETS[2], ("retention", "registry_reader")),
    Login("judging", SECRETS[3], ("judge", "registry_reader")),
]
LOG = "data_warehouse.customer_features_offline"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server on which nobody has made a role; roles belong to the whole of it."""
    server = PostgresServer()
    with server.database("postgres").connect() as admin:
        admin.execute("ALTER SYSTEM SET log_statement = 'all'")
        admin.execute("SELECT pg_reload_conf()")
        admin.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD 'of the owner'")
    yield server
    server.stop()


@pytest.fixture
def nothing(server: PostgresServer) -> Iterator[Database]:
    """An empty database, seen by an owner who may make roles and is no superuser."""
    with server.new_database() as database, database.connect() as admin:
        admin.execute(f"ALTER DATABASE {database.name} OWNER TO {OWNER}")
        admin.execute(f"ALTER ROLE {OWNER} CREATEROLE NOSUPERUSER")
        yield database.seen_by(OWNER, "of the owner")
        for role in roles(admin) - {OWNER}:
            admin.execute(f'DROP OWNED BY "{role}"')
            admin.execute(f'DROP ROLE "{role}"')


def roles(admin: "psycopg.Connection[Any]") -> set[str]:
    query = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"
    return {name for (name,) in admin.execute(query)}


def kept(verdicts: list[Verdict]) -> bool:
    return not any(verdict.lacks or verdict.beyond for verdict in verdicts)


@pytest.mark.slow
def test_from_nothing_and_again(nothing: Database) -> None:
    owner = make_url(nothing.url)
    with nothing.connect() as session:
        foretold, _ = provision(owner, LOGINS, keep=False)
        assert roles(session) == {OWNER}
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(data|feature|customer)_'"
        assert session.execute(schemas).fetchall() == []

        done, verdicts = provision(owner, LOGINS)
        assert done == foretold
        assert "made the role feature_store_retention" in done
        assert "made the login refresher" in done
        assert [verdict.name for verdict in verdicts] == sorted(login.name for login in LOGINS)
        assert kept(verdicts), verdicts
        assert len(roles(session)) == 1 + 6 + len(LOGINS)

        assert provision(owner, LOGINS) == ([], verdicts)
        assert provision(owner, []) == ([], verdicts)


@pytest.mark.slow
def test_a_password_is_set_and_stands_in_no_log(server: PostgresServer, nothing: Database) -> None:
    owner, (refresher, *others) = make_url(nothing.url), LOGINS
    provision(owner, LOGINS)
    assert [refused_entry(owner, login) for login in LOGINS] == [None] * 4
    other = refresher._replace(password="quite änother 'one'")
    assert refused_entry(owner, other)
    done, verdicts = provision(owner, [other, *others])
    assert done == ["set the password of the login refresher"]
    assert kept(verdicts)
    assert refused_entry(owner, other) is None
    log = (server.folder / "log").read_text()
    assert "CREATE ROLE" in log
    assert [
        s for s in (*SECRETS, other.password, "quite") if s in log or repr(s)[1:-1] in log
    ] == []


@pytest.mark.slow
def test_a_login_that_may_not_log_in_or_inherits_nothing_is_mended(nothing: Database) -> None:
    owner = make_url(nothing.url)
    odd = [
        Login('Odd"Name', "its password", ("pipeline", "registry")),
        Login("it's", "b", ("judge",)),
    ]
    try:
        provision(owner, odd)
        by_grant = """; REVOKE feature_store_judge FROM "it's"; """
        by_grant += """GRANT feature_store_judge TO "it's" WITH INHERIT FALSE"""
        with nothing.connect() as session:
            since_16 = session.info.server_version >= 160_000
        for statement in (
            """ALTER ROLE "Odd""Name" NOLOGIN""",
            f"""ALTER ROLE "it's" NOINHERIT{by_grant if since_16 else ""}""",
        ):
            with nothing.connect() as session:
                session.execute(statement)
            done, verdicts = provision(owner, odd)
            assert len(done) == 1
            assert kept(verdicts), verdicts
            assert provision(owner, odd) == ([], verdicts)
    finally:
        with nothing.connect() as session:
            session.execute("""DROP ROLE "Odd""Name", "it's" """)


@pytest.mark.slow
def test_a_login_that_is_barred_is_told(nothing: Database) -> None:
    owner, trainer = make_url(nothing.url), LOGINS[1]
    provision(owner, [trainer])
    with nothing.connect() as session:
        session.execute("ALTER ROLE trainer VALID UNTIL '2020-01-01'")
        _, (verdict,) = provision(owner, [trainer])
        assert verdict.lacks[0].startswith("is not let in (")


# What a login may do beside its roles' work, or may not.

TOO_MUCH = {
    f"GRANT UPDATE ON {LOG} TO training_job": f"UPDATE on {LOG}",
    "GRANT SELECT (customer_id) ON data_warehouse.customer_events TO feature_store_training": (
        "SELECT on data_warehouse.customer_events"
    ),
    f"GRANT TRUNCATE ON {LOG} TO PUBLIC": f"TRUNCATE on {LOG}",
    "GRANT DELETE ON feature_operations.operations TO feature_store_training": (
        "DELETE on feature_operations.operations"
    ),
    "GRANT INSERT ON feature_registry.projects TO training_job": (
        "INSERT on feature_registry.projects"
    ),
    "GRANT EXECUTE ON FUNCTION data_warehouse.mend_average TO PUBLIC": (
        "EXECUTE on data_warehouse.mend_average"
    ),
    "GRANT CREATE ON SCHEMA data_warehouse TO training_job": "CREATE on data_warehouse",
    "GRANT CREATE ON SCHEMA public TO PUBLIC": "CREATE on public",
    "GRANT pg_monitor TO training_job": "the role pg_monitor",
    "ALTER ROLE training_job CREATEDB": "CREATEDB",
    "ALTER ROLE training_job BYPASSRLS": "BYPASSRLS",
    "ALTER ROLE training_job SUPERUSER": "SUPERUSER",
}
TOO_LITTLE = {
    f"REVOKE SELECT ON {LOG} FROM feature_store_training": f"SELECT on {LOG}",
    "REVOKE USAGE ON SCHEMA data_warehouse FROM feature_store_training": "USAGE on data_warehouse",
    "REVOKE ALL ON feature_operations.operations_id_seq FROM feature_store_training": (
        "USAGE on feature_operations.operations_id_seq"
    ),
    "CREATE TABLE feature_registry.later (a int)": "SELECT on feature_registry.later",
    "ALTER ROLE training_job NOINHERIT; REVOKE feature_store_training FROM training_job; "
    "GRANT feature_store_training TO training_job": f"SELECT on {LOG}",
    f"REVOKE SELECT ON {LOG} FROM feature_store_training; "
    f"GRANT SELECT (customer_id) ON {LOG} TO feature_store_training": f"SELECT on {LOG}",
}


@pytest.mark.parametrize("statement", TOO_MUCH)
def test_a_login_that_may_more_is_seen(shared_warehouse: Database, statement: str) -> None:
    with shared_warehouse.connect() as admin, admin.transaction(force_rollback=True):
        assert judged(admin, "training_job", ROLES[TRAINING]) == ((), ())
        admin.execute(statement)
        lacks, beyond = judged(admin, "training_job", ROLES[TRAINING])
        assert lacks == ()
        assert beyond[0] == TOO_MUCH[statement]
        assert len(beyond) == 1 or "pg_monitor" in statement


@pytest.mark.parametrize("statement", TOO_LITTLE)
def test_a_login_that_may_less_is_seen(shared_warehouse: Database, statement: str) -> None:
    with shared_warehouse.connect() as admin, admin.transaction(force_rollback=True):
        admin.execute(statement)
        lacks, _ = judged(admin, "training_job", ROLES[TRAINING])
        assert TOO_LITTLE[statement] in lacks


def test_every_right_of_a_role_is_seen_to_be_missing(shared_warehouse: Database) -> None:
    """Whatever a role is due is taken from it, right by right."""
    with shared_warehouse.connect() as admin, admin.transaction(force_rollback=True):
        for login, own in ROLES.items():
            for role in own:
                admin.execute(f"REVOKE feature_store_{role} FROM {login}")
            lacks, beyond = judged(admin, login, own)
            due = due_to(own, rights_of(admin, login).there)
            everybodys = {"CONNECT on database", "TEMPORARY on database"}
            assert set(lacks) == set(map(str, due)) - everybodys
            assert len(lacks) > 7
            assert beyond == ()


@pytest.mark.slow
@pytest.mark.parametrize("statement", list(TOO_LITTLE)[:4])
def test_what_drifted_is_granted_again(nothing: Database, statement: str) -> None:
    owner = make_url(nothing.url)
    provision(owner, LOGINS)
    with nothing.connect() as session:
        session.execute(statement)
    done, verdicts = provision(owner, LOGINS)
    assert TOO_LITTLE[statement].replace(".later", ".*") in " ".join(done)
    assert kept(verdicts)


@pytest.mark.slow
def test_temporary_tables_are_granted_where_everybodys_right_was_taken(nothing: Database) -> None:
    owner = make_url(nothing.url)
    with nothing.connect() as session:
        session.execute(f"REVOKE ALL ON DATABASE {nothing.name} FROM PUBLIC")
    done, verdicts = provision(owner, LOGINS)
    assert kept(verdicts)
    assert "granted feature_store_training CONNECT, TEMPORARY on database" in done
    assert "granted feature_store_registry_reader CONNECT on database" in done


@pytest.mark.slow
def test_the_tills_own_purchases(server: PostgresServer, nothing: Database) -> None:
    """They grant them, or the owner does where they are his."""
    owner, refresher = make_url(nothing.url), LOGINS[0]
    provision(owner, [refresher])
    with server.database(nothing.name).connect() as tills:
        tills.execute("CREATE SCHEMA raw; CREATE TABLE raw.purchases (a int)")
        done, (verdict,) = provision(owner, [refresher])
        assert (done, verdict.beyond) == ([], ())
        assert verdict.lacks == ("USAGE on raw", "SELECT on raw.purchases")
        tills.execute(
            f"ALTER SCHEMA raw OWNER TO {OWNER}; ALTER TABLE raw.purchases OWNER TO {OWNER}"
        )
        done, (verdict,) = provision(owner, [refresher])
        assert len(done) == 2
        assert kept([verdict])


@pytest.mark.slow
def test_a_registry_of_somebody_is_taken_over_or_named(
    server: PostgresServer, nothing: Database
) -> None:
    """As it is where a job applied before this was there."""
    owner = make_url(nothing.url)
    provision(owner, LOGINS)
    with server.database(nothing.name).connect() as admin:
        admin.execute("ALTER TABLE feature_registry.projects OWNER TO refresher")
        with pytest.raises(RefusedError, match=rf"belongs to refresher.* OWNER TO {OWNER}`, or"):
            provision(owner, LOGINS)
        superuser = make_url(server.database(nothing.name).url)
        done, verdicts = provision(superuser, LOGINS)
        assert done == ["took feature_registry.projects over from refresher"]
        assert kept(verdicts)
        assert provision(owner, LOGINS) == ([], verdicts)


# An operations log in a database of its own, on the warehouse's server or another.


@pytest.fixture(params=["the same server", "another"])
def apart(request: pytest.FixtureRequest, nothing: Database) -> Iterator[Database]:
    """A second database of the same owner; the warehouse is provisioned."""
    provision(make_url(nothing.url), LOGINS)
    other = request.param == "another"
    there = PostgresServer() if other else request.getfixturevalue("server")
    with there.database("postgres").connect() as admin:
        if other:
            admin.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD 'of the owner'")
        with there.new_database() as database:
            admin.execute(f"ALTER DATABASE {database.name} OWNER TO {OWNER}")
            yield database.seen_by(OWNER, "of the owner")
    if other:
        there.stop()


@pytest.mark.slow
def test_a_log_of_its_own_is_set_up_and_every_login_held_against_it(apart: Database) -> None:
    owner = make_url(apart.url)
    with apart.connect() as session:
        foretold, _ = provision_log(owner, LOGINS, keep=False)
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(data|feature|customer)_'"
        assert session.execute(schemas).fetchall() == []
        done, verdicts = provision_log(owner, LOGINS)
        assert done == foretold
        assert "made the schema feature_operations, where the operations log lies" in done
        assert session.execute(schemas).fetchall() == [("feature_operations",)]
        assert kept(verdicts), verdicts
        names = sorted(login.name for login in LOGINS)
        assert [v.name for v in verdicts] == [f"{name}, at the operations log" for name in names]
        assert provision_log(owner, LOGINS) == ([], verdicts)
    for login, may in zip(LOGINS, ("INSERT", "INSERT", "DELETE", "INSERT"), strict=True):
        with apart.seen_by(login.name, login.password).connect() as session:
            asked = "SELECT has_table_privilege('feature_operations.operations', %s)"
            assert session.execute(asked, [may]).fetchone() == (True,)
            assert session.execute(asked, ["TRUNCATE"]).fetchone() == (False,)


@pytest.mark.slow
def test_what_drifted_there_is_seen_and_mended(apart: Database) -> None:
    owner, log = make_url(apart.url), "feature_operations.operations"
    provision_log(owner, LOGINS)
    with apart.connect() as session:
        session.execute(f"REVOKE INSERT ON {log} FROM feature_store_training")
        session.execute(f"GRANT TRUNCATE ON {log} TO trainer")
    done, verdicts = provision_log(owner, LOGINS)
    told = f"granted feature_store_training INSERT on {log}, where the operations log lies"
    assert done == [told]
    (wrong,) = [verdict for verdict in verdicts if not kept([verdict])]
    assert wrong.name == "trainer, at the operations log"
    assert (wrong.lacks, wrong.beyond) == ((), (f"TRUNCATE on {log}",))


@pytest.mark.slow
def test_the_command_sets_a_log_of_its_own_up(
    apart: Database, nothing: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    redis = RedisServer(tmp_path)
    monkeypatch.setenv("FEATURE_STORE_MIGRATIONS_DATABASE", nothing.url)
    monkeypatch.setenv("FEATURE_STORE_OPERATIONS_LOG_OWNER", apart.url)
    monkeypatch.setenv("FEATURE_STORE_LOGINS", in_words(LOGINS))
    monkeypatch.setenv("FEATURE_STORE_REDIS", f"127.0.0.1:{redis.port}")
    assert exit_code() == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "made the schema feature_operations, where the operations log lies" in said
    assert exit_code() == 0
    assert capsys.readouterr().out.startswith("nothing to do")
    for address, why in (
        ("sqlite:///hunter2", "FEATURE_STORE_OPERATIONS_LOG_OWNER is no address of PostgreSQL"),
        ("postgresql://owner:hunter2@127.0.0.1:1/nowhere", "owner, the owner of nowhere by"),
    ):
        monkeypatch.setenv("FEATURE_STORE_OPERATIONS_LOG_OWNER", address)
        assert exit_code() == 2
        told = capsys.readouterr()
        assert why in " ".join(told.err.split())
        assert "hunter2" not in told.out + told.err
    redis.kill()


# What is refused.


@pytest.mark.slow
def test_an_owner_who_may_not_is_told_what_to_ask_for(
    server: PostgresServer, nothing: Database
) -> None:
    owner = make_url(nothing.url)
    with server.database(nothing.name).connect() as admin:
        admin.execute(f"ALTER ROLE {OWNER} NOCREATEROLE")
        with pytest.raises(RefusedError, match=f"run `ALTER ROLE {OWNER} CREATEROLE`"):
            provision(owner, LOGINS)
        admin.execute(f"ALTER ROLE {OWNER} CREATEROLE")
        admin.execute(f"ALTER DATABASE {nothing.name} OWNER TO postgres")
        with pytest.raises(RefusedError, match=f"`GRANT CREATE ON DATABASE {nothing.name} TO"):
            provision(owner, LOGINS)
        assert roles(admin) == {OWNER}


@pytest.mark.slow
def test_roles_of_another_owner_are_not_given_away(
    server: PostgresServer, nothing: Database
) -> None:
    with server.database(nothing.name).connect() as admin:
        if admin.info.server_version < 160_000:
            pytest.skip("there whoever may make roles may give any")
        admin.execute("CREATE ROLE feature_store_training")
        with pytest.raises(RefusedError, match=r"permission denied to grant role .*superuser"):
            provision(make_url(nothing.url), LOGINS)
        assert roles(admin) == {OWNER, "feature_store_training"}


@pytest.mark.slow
def test_a_newer_warehouse_and_a_wrong_password_are_refused(nothing: Database) -> None:
    owner = make_url(nothing.url)
    with pytest.raises(RefusedError, match="password authentication failed") as refusal:
        provision(owner.set(password="guessed-and-wrong"), LOGINS)
    assert "guessed" not in str(refusal.value)
    provision(owner, [])
    with nothing.connect() as session:
        session.execute("UPDATE data_warehouse.alembic_version SET version_num = '9999'")
    with pytest.raises(RefusedError, match="cannot be migrated from 9999"):
        provision(owner, [])


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("{", "is to hold a JSON object"),
        ('["hunter2"]', "is to hold a JSON object"),
        ('{"a": "hunter2"}', "a is to have a password and roles"),
        ('{"a": {"password": "hunter2"}}', "a is to have a password and roles"),
        ('{"a": {"password": "hunter2", "roles": ["training"], "b": 1}}', "and nothing else"),
        ('{"a": {"password": "hunter2", "roles": "training"}}', "a has no roles"),
        ('{"a": {"password": "hunter2", "roles": []}}', "a has no roles"),
        ('{"a": {"password": "hunter2", "roles": ["postgres"]}}', r"none of, \['postgres'\]"),
        ('{"a": {"password": "hunter2", "roles": [{}]}}', r"none of, \[{}\]"),
        ('{"a": {"password": "", "roles": ["training"]}}', "a has no password"),
        ('{"a": {"password": "hunter2\\u0000", "roles": ["training"]}}', "a has no password"),
        ('{"owner": {"password": "hunter2", "roles": ["training"]}}', "owner is the owner's"),
        ('{"pg_a": {"password": "hunter2", "roles": ["training"]}}', "PostgreSQL's own name"),
        ('{" ": {"password": "hunter2", "roles": ["training"]}}', "unnamed, or longer"),
        (json.dumps({"ü" * 32: {"password": "hunter2", "roles": ["judge"]}}), "63 bytes"),
    ],
)
def test_logins_that_are_none_are_refused_and_not_shown(told: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why) as refusal:
        logins_from({"FEATURE_STORE_LOGINS": told}, "owner")
    assert "hunter2" not in str(refusal.value)


def test_no_logins_are_none() -> None:
    assert logins_from({}, "owner") == logins_from({"FEATURE_STORE_LOGINS": ""}, "owner") == []


def test_a_warehouse_that_is_not_there_is_refused_without_its_password() -> None:
    nowhere = make_url("postgresql+psycopg://owner:hunter2@127.0.0.1:1/nowhere")
    with pytest.raises(RefusedError, match=r"could not do it: connection failed") as refusal:
        provision(nowhere, LOGINS)
    assert "hunter2" not in str(refusal.value)


# The command.


def in_words(logins: list[Login]) -> str:
    return json.dumps({n: {"password": secret, "roles": list(own)} for n, secret, own in logins})


@pytest.fixture
def command(nothing: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("FEATURE_STORE_MIGRATIONS_DATABASE", nothing.url)
    monkeypatch.setenv("FEATURE_STORE_LOGINS", in_words(LOGINS))
    monkeypatch.setenv("FEATURE_STORE_REDIS", "127.0.0.1:1")
    return nothing


def exit_code(**given: bool) -> int:
    try:
        main(**{"dry_run": False} | given)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


@pytest.mark.slow
def test_a_redis_that_drops_rows_breaks_it(
    command: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    redis = RedisServer(tmp_path)
    monkeypatch.setenv("FEATURE_STORE_REDIS", f"127.0.0.1:{redis.port}")
    assert exit_code(dry_run=True) == 0
    foretold = capsys.readouterr().out
    assert "would have made the login refresher" in foretold
    assert exit_code() == 0
    assert foretold.replace("would have ", "") == capsys.readouterr().out
    for policy in ("allkeys-lru", "volatile-ttl"):
        with redis.client() as client:
            client.config_set("maxmemory-policy", policy)
        assert exit_code() == 1
        said = capsys.readouterr().out
        assert said.startswith("nothing to do")
        assert policy in said
        assert "set maxmemory-policy noeviction" in " ".join(re.findall(r"[\w-]+", said))
    redis.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("FEATURE_STORE_REDIS", "127.0.0.1:1", "no Redis answers at FEATURE_STORE_REDIS"),
        ("FEATURE_STORE_REDIS", "", "asks for FEATURE_STORE_REDIS, not set"),
        ("FEATURE_STORE_MIGRATIONS_DATABASE", "", "asks for FEATURE_STORE_MIGRATIONS_DATABASE"),
        (
            "FEATURE_STORE_MIGRATIONS_DATABASE",
            "host=a password=hunter2",
            "is no address of PostgreSQL",
        ),
        ("FEATURE_STORE_MIGRATIONS_DATABASE", "sqlite:///hunter2", "is no address of PostgreSQL"),
    ],
)
def test_what_the_environment_lacks_is_refused(
    command: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    variable: str,
    value: str,
    why: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert exit_code() == 2
    said = capsys.readouterr()
    assert why in " ".join(said.err.split())
    assert "hunter2" not in said.out + said.err
    with command.connect() as session:
        assert roles(session) == {OWNER}


@pytest.mark.slow
def test_from_nothing_to_a_look_up_each_with_its_own_login(
    nothing: Database, tmp_path: Path
) -> None:
    repository = copy_of_the_whole_project(tmp_path / "repository")
    for folder in ("profiles", "migrations"):
        copytree(ROOT / folder, repository / folder)
    redis = RedisServer(tmp_path)
    changing = Login("rebuilder", "password to rebuild", ("pipeline", "retention", "registry"))
    logins = [*LOGINS, changing]
    serving = asked_for(nothing, redis, "owner is in none of these")
    owner = {
        "FEATURE_STORE_MIGRATIONS_DATABASE": nothing.url,
        "FEATURE_STORE_LOGINS": in_words(logins),
        "FEATURE_STORE_REDIS": serving["FEATURE_STORE_REDIS"],
    }
    secrets = [*SECRETS, nothing.password]

    def said(environment: Mapping[str, str], command: str, *arguments: str, code: int = 0) -> str:
        held = its_own(repository) | environment
        done = run(repository, command, *arguments, env=held)
        assert done.returncode == code, done.stdout + done.stderr
        assert [secret for secret in secrets if secret in done.stdout + done.stderr] == []
        return done.stdout + done.stderr

    def job(login: Login) -> dict[str, str]:
        as_it = asked_for(nothing, redis, login.name, login.password)
        log = f"postgresql+psycopg://{as_it['FEATURE_STORE_REGISTRY']}"
        log = log.replace("feature_registry", "feature_operations")
        return as_it | {"FEATURE_STORE_OPERATIONS_LOG": log}

    refresher, trainer, *_, rebuilder = map(job, logins)
    assert "would have made the login refresher" in said(
        owner, "python", "scripts/provision.py", "--dry-run"
    )
    assert "made the login refresher" in said(owner, "python", "scripts/provision.py")
    assert said(owner, "python", "scripts/provision.py").startswith("nothing to do")

    events = repository / "events.parquet"
    pq.write_table(some_events(), events)
    said(refresher, "feast", "apply")
    said(refresher, "python", "scripts/load_events.py", str(events))
    said(refresher, "python", "scripts/refresh.py", "--as-of", "2024-03-10T12:00Z")
    assert "customer_id" in said(trainer, "python", "scripts/look_up.py", "7")
    records = said(job(LOGINS[3]), "python", "scripts/alerts.py", "list")
    assert records
    with nothing.connect() as session:
        jobs = session.execute("SELECT DISTINCT job FROM feature_operations.operations").fetchall()
        assert ("refresh",) in jobs
    assert said(owner, "python", "scripts/provision.py").startswith("nothing to do")

    # What the applying login may not read is not registered.
    wrong = refresher | {"FEATURE_STORE_WAREHOUSE_PASSWORD": "guessed and wrong"}
    told = said(wrong, "feast", "apply", code=2)
    assert "refused: feature view customer_profile_v1 cannot be read from" in told
    assert "Traceback" not in told
    assert "guessed" not in told
    with nothing.connect() as session:
        session.execute(f"REVOKE SELECT ON {LOG} FROM feature_store_pipeline")
    assert "permission denied for table" in said(refresher, "feast", "apply", code=2)
    regranted = said(owner, "python", "scripts/provision.py")
    assert regranted.startswith(f"granted feature_store_pipeline SELECT on {LOG}")
    said(refresher, "feast", "apply")

    # History that has to change has its way here as well.
    with nothing.connect() as session:
        session.execute(
            "INSERT INTO data_warehouse.customer_events "
            "VALUES (7, '2024-03-08 12:00Z', '2024-03-08 12:00Z', 5, 5, 5)"
        )
    told = said(refresher, "python", "scripts/refresh.py", "--as-of", "2024-03-10T13:00Z", code=2)
    assert "scripts/rebuild.py" in told
    told = said(rebuilder, "python", "scripts/rebuild.py")
    assert "rows differ from what the events make now" in told
    rebuilding = ("scripts/rebuild.py", "--confirm", "--reason", "it was late")
    assert "on record as rebuild" in said(rebuilder, "python", *rebuilding)
    with nothing.connect() as session:
        rows = session.execute(f"SELECT orders_30d FROM {LOG} ORDER BY event_timestamp").fetchall()
        assert [orders for (orders,) in rows] == [5, 7, 2, 0]
        query = "SELECT figures FROM feature_operations.operations WHERE job = 'rebuild'"
        (figures,) = session.execute(query).fetchone() or ({},)
        assert figures["reason"] == "it was late"
    assert "customer_id" in said(trainer, "python", "scripts/look_up.py", "7")
    redis.kill()


def some_events() -> pa.Table:
    """One event of customer 7, which arrived at once."""
    at = pa.array([datetime(2024, 3, 9, 12, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "customer_id": pa.array([7], pa.int64()),
            "event_timestamp": at,
            "created_timestamp": at,
            "orders": pa.array([2], pa.int64()),
            "order_value": pa.array([Decimal("9.98")], pa.decimal128(12, 2)),
            "sessions": pa.array([3], pa.int64()),
        }
    )
