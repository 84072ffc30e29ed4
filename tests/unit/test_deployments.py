"""The files in deploy/ fit the program and each other; scripts/lint checks them against their schemas."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from userstream_server.settings import ServerSettings
from userstream_testing.repository import ROOT

DEPLOY = ROOT / "deploy"
FILES = {
    path.relative_to(DEPLOY).as_posix(): path.read_text("utf-8")
    for path in sorted(DEPLOY.rglob("*"))
    if path.is_file() and path.suffix in {"", ".yaml", ".yml", ".service", ".sh"}
    if "secrets" not in path.parts
}
DEPLOYMENT = yaml.safe_load(FILES["kubernetes/deployment.yaml"])["spec"]["template"]["spec"]
COMPOSE = yaml.safe_load(FILES["compose.yaml"])
ENVOY = yaml.safe_load(FILES["envoy/envoy.yaml"])["static_resources"]


def containerised() -> dict[str, str]:
    """Return the settings that the Containerfile gives every container."""
    return dict(re.findall(r"\b(USERSTREAM_\w+)=(\S+)", FILES["Containerfile"].split("FROM")[-1]))


def kubernetes_environment() -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in DEPLOYMENT["containers"][0]["env"]}


def settings_of(environment: dict[str, str], folder: Path) -> ServerSettings:
    """Return the settings that a server would have, with each file of secrets standing in for the real one."""
    given: dict[str, Any] = {}
    for name, value in environment.items():
        field = name.removeprefix("USERSTREAM_").lower()
        if str(value).startswith("/"):
            (folder / field).write_text("mysql://reader:password@db/ALX_prodev\n", "utf-8")
            given[field] = folder / field
        else:
            given[field] = value
    return ServerSettings(**given)


@pytest.mark.parametrize("name", FILES)
def test_settings_named_in_deployments_exist(name: str) -> None:
    """Every USERSTREAM_ name is a setting, so that none is silently ignored."""
    named = {
        match.lower()
        for match in re.findall(r"\bUSERSTREAM_(\w+)", FILES[name])
        if match != "NAME"  # the placeholder in instructions
    }

    assert set() == named - set(ServerSettings.model_fields)


def test_kubernetes_settings_are_accepted(tmp_path: Path) -> None:
    """The server takes the manifest's settings on top of the image's."""
    settings = settings_of(containerised() | kubernetes_environment(), tmp_path)

    assert settings.listen == "0.0.0.0:50051"
    assert settings.workers == 1


def test_compose_settings_are_accepted(tmp_path: Path) -> None:
    """The server takes the compose file's settings on top of the image's."""
    environment = {k: str(v) for k, v in COMPOSE["services"]["userstream"]["environment"].items()}

    assert settings_of(containerised() | environment, tmp_path).allow_plaintext


def test_pod_outlives_its_drain(tmp_path: Path) -> None:
    """Kubernetes waits for the balancers' notice, the drain and the close before it kills."""
    settings = settings_of(containerised() | kubernetes_environment(), tmp_path)
    drain = settings.drain_notice_seconds + settings.drain_seconds

    assert settings.drain_notice_seconds >= 10
    assert DEPLOYMENT["terminationGracePeriodSeconds"] >= drain + 10


def test_compose_and_systemd_wait_for_the_drain() -> None:
    """Both give the server ten seconds more than the balancers' notice and its drain."""
    service = COMPOSE["services"]["userstream"]
    unit = FILES["systemd/userstream.service"]
    drain = re.search(r"USERSTREAM_DRAIN_SECONDS=(\d+)", unit)
    stop = re.search(r"TimeoutStopSec=(\d+)s", unit)
    assert drain
    assert stop

    environment = service["environment"]
    notice = environment["USERSTREAM_DRAIN_NOTICE_SECONDS"]
    check = ENVOY["clusters"][0]["health_checks"][0]

    assert notice > int(check["interval"][:-1]) * check["unhealthy_threshold"]
    assert (
        int(service["stop_grace_period"][:-1])
        >= notice + environment["USERSTREAM_DRAIN_SECONDS"] + 10
    )
    assert int(stop[1]) >= int(drain[1]) + 10


def test_probes_and_balancers_use_the_health_port() -> None:
    """Whoever asks for health asks the port that answers when every thread is in a stream."""
    ports = {port["name"]: port["containerPort"] for port in DEPLOYMENT["containers"][0]["ports"]}
    endpoint = ENVOY["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0][
        "endpoint"
    ]
    port = int(containerised()["USERSTREAM_HEALTH_LISTEN"].rpartition(":")[2])

    assert port == ports["health"]
    assert port == DEPLOYMENT["containers"][0]["readinessProbe"]["grpc"]["port"]
    assert port == endpoint["health_check_config"]["port_value"]
    assert f"127.0.0.1:{port}" in FILES["Containerfile"]


def test_envoy_never_cuts_what_the_server_allows(tmp_path: Path) -> None:
    """No route limit, an idle limit above the server's own, and no more streams a connection than it takes."""
    settings = settings_of(containerised() | kubernetes_environment(), tmp_path)
    manager = ENVOY["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (options,) = ENVOY["clusters"][0]["typed_extension_protocol_options"].values()
    http2 = options["explicit_http_config"]["http2_protocol_options"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]

    assert {"0s"} == {route["route"]["timeout"] for route in routes}
    assert int(manager["stream_idle_timeout"][:-1]) > settings.send_timeout_seconds
    assert http2["max_concurrent_streams"] == settings.streams_per_connection_max


def test_nothing_runs_as_root_or_writes() -> None:
    """The user of the image is the pod's, its root is read-only, and no capability is left."""
    user = re.search(r"^USER (\d+):", FILES["Containerfile"], re.MULTILINE)
    assert user
    context = DEPLOYMENT["containers"][0]["securityContext"]

    assert DEPLOYMENT["securityContext"]["runAsUser"] == int(user[1])
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert COMPOSE["services"]["userstream"]["read_only"]


def test_make_secrets_keeps_what_is_there(tmp_path: Path) -> None:
    """A second run changes nothing, as MySQL keeps its first passwords; every secret of compose.yaml is made."""
    script = shutil.copy(DEPLOY / "compose/make-secrets", tmp_path)
    subprocess.run([script], check=True, capture_output=True)
    made = {path.name: path.read_text("utf-8") for path in (tmp_path / "secrets").iterdir()}
    (tmp_path / "secrets/tokens").unlink()
    subprocess.run([script], check=True, capture_output=True)
    again = {path.name: path.read_text("utf-8") for path in (tmp_path / "secrets").iterdir()}

    assert set(COMPOSE["secrets"]) == set(made)
    assert made.pop("tokens") != again.pop("tokens")
    assert made == again
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert made["mysql-seeder-password"].strip() in made["seeder-url"]
    assert made["mysql-reader-password"].strip() in made["reader-url"]
