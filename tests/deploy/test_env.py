"""`make env`."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.deploy.test_compose import REQUIRED, ROOT, TEXT


def make_env(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of `make env` in a project that has nothing else."""
    (project / "deploy").mkdir(exist_ok=True)
    for name in ("env.py", "databases.sh"):
        if not (project / "deploy" / name).exists():
            shutil.copy(ROOT / "deploy" / name, project / "deploy")
    return subprocess.run(
        [sys.executable, "-S", "deploy/env.py"], cwd=project, capture_output=True, text=True, check=False
    )


def values(project: Path) -> dict[str, str]:
    """Return the variables of the project's .env."""
    lines = (project / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture
def made(tmp_path):
    """Return a project after `make env`."""
    assert make_env(tmp_path).returncode == 0
    return tmp_path


def test_it_sets_every_variable_that_compose_wants(made):
    """And no other one."""
    found = values(made)
    assert set(found) == set(REQUIRED.findall(TEXT))
    assert all(len(value) >= 24 for value in found.values())


def test_the_fernet_key_is_one(made):
    """Airflow's Fernet takes it."""
    Fernet(values(made)["AIRFLOW_FERNET_KEY"])


@pytest.mark.parametrize("name", [".env", "connections.env"])
def test_only_its_owner_reads_it(made, name):
    """Whatever the umask."""
    assert stat.S_IMODE((made / name).stat().st_mode) == 0o600


def test_it_never_overwrites(made):
    """A second call changes nothing and says what to do."""
    before = (made / ".env").read_text()
    again = make_env(made)
    assert again.returncode == 1
    assert "docs/deploying.md" in again.stderr
    assert (made / ".env").read_text() == before


def test_it_keeps_connections(tmp_path):
    """A person who removed .env has not lost the connections that they wrote."""
    (tmp_path / "connections.env").write_text("AIRFLOW_CONN_X={}\n")
    assert make_env(tmp_path).returncode == 0
    assert (tmp_path / "connections.env").read_text() == "AIRFLOW_CONN_X={}\n"


def test_two_projects_have_no_secret_in_common(tmp_path):
    """Each value is random."""
    found = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        make_env(tmp_path / name)
        found.append(values(tmp_path / name))
    assert not set(found[0].values()) & set(found[1].values())
    assert len(set(found[0].values())) == len(found[0])


def test_it_says_what_to_back_up_and_shows_no_secret(tmp_path):
    """The output may be copied into a ticket."""
    said = make_env(tmp_path)
    assert "AIRFLOW_FERNET_KEY" in said.stdout
    assert not any(value in said.stdout + said.stderr for value in values(tmp_path).values())


def test_a_lost_file_of_connections_is_written_beside_an_env_of_a_backup(made):
    """Without it Compose starts nothing; the keys of the backup stay."""
    before = (made / ".env").read_text()
    (made / "connections.env").unlink()
    assert "Wrote" in make_env(made).stdout
    assert "AIRFLOW_CONN_" in (made / "connections.env").read_text()
    assert (made / ".env").read_text() == before


def test_the_script_that_another_user_runs_is_readable(made):
    """Also of a checkout that was made with a narrow umask."""
    script = made / "deploy" / "databases.sh"
    for before, after in ((0o700, 0o744), (0o755, 0o755)):  # git sees only whether its owner may run it
        script.chmod(before)
        make_env(made)
        assert stat.S_IMODE(script.stat().st_mode) == after
