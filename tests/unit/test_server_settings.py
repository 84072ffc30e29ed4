"""Settings that make no sense together are refused at the start, and the error says which."""

import pytest
from userstream_server.settings import SettingsError, load_settings

WORKING = {"database_url": "sqlite:////users.db", "listen": "127.0.0.1:0"}
TLS = {"tls_cert": "/cert.pem", "tls_key": "/key.pem"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        TLS,
        {**TLS, "listen": "0.0.0.0:1"},
        {**TLS, "tls_client_ca": "/ca.pem", "tls_client_names": "a.example.com"},
        {"listen": "0.0.0.0:1", "allow_plaintext": True},
        {"listen": "[::1]:1"},
        {"listen": "localhost:1"},
        {"otlp_endpoint": "http://collector:4317"},
        {"otlp_endpoint": "https://10.0.0.1:1"},
        {"snapshot_views_max": 7, "pool_size": 8},
        {"metrics_listen": "127.0.0.1:65534", "workers": 2},
    ],
)
def test_settings_that_fit(more: dict[str, object]) -> None:
    """They are taken as they are."""
    settings = load_settings(**{**WORKING, **more})

    assert {name: str(value) for name, value in more.items()} == {
        name: str(getattr(settings, name)) for name in more
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tls_cert": "/cert.pem"}, "USERSTREAM_TLS_CERT and USERSTREAM_TLS_KEY go together"),
        ({"tls_key": "/key.pem"}, "USERSTREAM_TLS_CERT and USERSTREAM_TLS_KEY go together"),
        (
            {"tls_client_ca": "/ca.pem"},
            "USERSTREAM_TLS_CLIENT_CA needs USERSTREAM_TLS_CERT and _KEY",
        ),
        (
            {**TLS, "tls_client_names": "a.example.com"},
            "USERSTREAM_TLS_CLIENT_NAMES needs USERSTREAM_TLS_CLIENT_CA",
        ),
        (
            {"snapshot_views_max": 8, "pool_size": 8},
            "USERSTREAM_SNAPSHOT_VIEWS_MAX must stay below USERSTREAM_POOL_SIZE",
        ),
        (
            {"listen": "0.0.0.0:1"},
            "USERSTREAM_LISTEN is not a loopback address and there is no TLS: set USERSTREAM_TLS_CERT and _KEY,"
            " or say USERSTREAM_ALLOW_PLAINTEXT=true",
        ),
        (
            {"listen": "127.example:1"},
            "USERSTREAM_LISTEN is not a loopback address and there is no TLS: set USERSTREAM_TLS_CERT and _KEY,"
            " or say USERSTREAM_ALLOW_PLAINTEXT=true",
        ),
        (
            {"metrics_listen": "127.0.0.1:65535", "workers": 2},
            "USERSTREAM_METRICS_LISTEN leaves no port for every worker",
        ),
        (
            {"otlp_endpoint": "collector:4317"},
            "USERSTREAM_OTLP_ENDPOINT: takes http://host:port or https://host:port, and nothing after it",
        ),
        (
            {"otlp_endpoint": "http://user@collector:4317/v1"},
            "USERSTREAM_OTLP_ENDPOINT: takes http://host:port or https://host:port, and nothing after it",
        ),
        (
            {"database_url_file": "/secret"},
            "USERSTREAM_DATABASE_URL and USERSTREAM_DATABASE_URL_FILE: set only one",
        ),
    ],
)
def test_settings_that_do_not_fit(more: dict[str, object], message: str) -> None:
    """The error names the variables, and no value that was given."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**{**WORKING, **more})

    assert message == str(caught.value)
