"""The services' connection types and the destinations' assets, as Airflow finds them by order_sync.dist-info."""

import json
import os
import subprocess
import sys
import tomllib
from email import message_from_string

import pytest
from order_sync_airflow import forms
from order_sync_airflow.hooks import hook_for

from include.order_sync.providers import PROVIDERS
from tests.airflow.conftest import ROOT

FOUND = """
import json
from airflow.providers_manager import ProvidersManager
from airflow.sdk import Asset
manager = ProvidersManager()
asset = Asset("order-sync://my_shop")
dataset = manager.asset_to_openlineage_converters["order-sync"](asset, None)
print(json.dumps({
    "hooks": {name: (hook.hook_name, hook.connection_testable) for name, hook in manager.hooks.items() if hook},
    "fields": manager.field_behaviours,
    "extras": [*manager.connection_form_widgets],
    "dataset": [asset.normalized_uri, dataset.namespace, dataset.name],
    "version": manager.providers["order-sync"].version,
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a process of Airflow with the project's root on its path knows of connection types."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    }
    ended = subprocess.run([sys.executable, "-c", FOUND], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_service_is_a_type(found, name):
    """Airflow lists it by its title, can test it, and shows its own words for the fields."""
    assert found["hooks"][name] == [PROVIDERS[name].title, True]
    words = found["fields"][name]
    assert words["relabeling"]["host"] == "Address"
    assert words["placeholders"]["host"].startswith("https://")
    assert all(words["relabeling"][field] and words["placeholders"][field] for field in ("login", "password"))
    assert f"extra__{name}__allow_http" in found["extras"]


def test_a_destination_is_a_dataset_of_openlineage(found):
    """Airflow's provider for OpenLineage needs the asset's normalized address, and our function for its scheme."""
    assert found["dataset"] == ["order-sync://my_shop/", "order-sync", "my_shop"]


def test_the_version_is_the_projects(found):
    """Airflow's list of providers shows the version of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    metadata = message_from_string((ROOT / "order_sync.dist-info/METADATA").read_text("utf-8"))
    assert (found["version"], metadata["Version"], metadata["Name"]) == (project["version"],) * 2 + (project["name"],)


def test_the_forms_import_nothing():
    """Airflow reads them before its configuration is ready: an import of Airflow there would be a circle."""
    code = f"""
import sys
before = set(sys.modules)
from plugins.{forms.__name__} import get_provider_info
get_provider_info()
print(*{{name.split(".")[0] for name in set(sys.modules) - before}} & {{"airflow", "include", "pandas", "requests"}})
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_test_says_what_is_wrong(monkeypatch, name):
    """`Test` in the form gives a message instead of an error, and no secret."""
    fields = {"conn_type": name, "host": "http://127.0.0.1:1", "login": "me", "password": "hush-hush"}
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(fields))
    is_well, said = hook_for(name, "account").test_connection()
    assert (is_well, "allow_http" in said) == (False, True)
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps({**fields, "extra": '{"allow_http": true}'}))
    is_well, said = hook_for(name, "account").test_connection()
    assert (is_well, "127.0.0.1:1" in said, "hush" in said) == (False, True, False)
