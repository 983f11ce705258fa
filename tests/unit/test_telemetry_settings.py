"""Which collector gets the traces, and which of FastStream's middlewares run, by the environment."""

import pytest

from shared.errors import ConfigurationError
from shared.middlewares import middlewares
from shared.settings import TelemetrySettings, load_settings

COLLECTOR = "http://collector:4318"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OFFERS_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OFFERS_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_exported_and_no_middleware_runs_unless_asked_for() -> None:
    settings = load_settings(TelemetrySettings)
    assert settings.otlp_endpoint is None
    assert middlewares(settings, "test") == []


def test_our_own_name_of_the_collector_goes_before_the_standard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", COLLECTOR)
    assert load_settings(TelemetrySettings).otlp_endpoint == COLLECTOR
    monkeypatch.setenv("OFFERS_OTLP_ENDPOINT", "https://ours")
    assert load_settings(TelemetrySettings).otlp_endpoint == "https://ours"


@pytest.mark.parametrize("name", ["OFFERS_OTLP_ENDPOINT", "OFFERS_LOG_LEVEL"])
def test_a_malformed_setting_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "nonsense")
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        load_settings(TelemetrySettings)


def test_spans_of_faststream_need_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFERS_FASTSTREAM_TRACES", "true")
    assert middlewares(load_settings(TelemetrySettings), "test") == []
    monkeypatch.setenv("OFFERS_OTLP_ENDPOINT", COLLECTOR)
    (middleware,) = middlewares(load_settings(TelemetrySettings), "test")
    assert type(middleware).__name__ == "KafkaTelemetryMiddleware"
