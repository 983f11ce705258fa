"""Secrets that are files instead of variables, as orchestrators mount them."""

from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.settings import DatabaseSettings, KafkaSettings, RedisSettings, load_settings

URL = "postgresql://redemption:secret@db:5432/offers"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OFFERS_DATABASE_URL", "OFFERS_REDIS_URL", "OFFERS_KAFKA_SASL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OFFERS_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("OFFERS_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_setting_is_read_from_the_file_of_its_name_in_either_case(folder: Path) -> None:
    (folder / "offers_database_url").write_text(URL + "\n")
    (folder / "OFFERS_KAFKA_SASL_PASSWORD").write_text("a secret")
    assert load_settings(DatabaseSettings).database_url == URL
    password = load_settings(KafkaSettings).kafka_sasl_password
    assert password is not None
    assert password.get_secret_value() == "a secret"


def test_files_that_a_link_switches_all_at_once_are_read(folder: Path) -> None:
    (folder / "..1").mkdir()
    (folder / "..1" / "OFFERS_DATABASE_URL").write_text(URL)
    (folder / "..data").symlink_to("..1")
    (folder / "OFFERS_DATABASE_URL").symlink_to("..data/OFFERS_DATABASE_URL")
    assert load_settings(DatabaseSettings).database_url == URL


def test_a_variable_goes_before_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "offers_redis_url").write_text("redis://file")
    monkeypatch.setenv("OFFERS_REDIS_URL", "redis://variable")
    assert load_settings(RedisSettings).redis_url == "redis://variable"


def test_a_malformed_file_is_named_as_its_variable_would_be(folder: Path) -> None:
    (folder / "offers_database_url").write_text("mysql://somewhere")
    with pytest.raises(ConfigurationError, match=r"^OFFERS_DATABASE_URL: "):
        load_settings(DatabaseSettings)


def test_a_setting_in_neither_place_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"^OFFERS_DATABASE_URL: is not set$"):
        load_settings(DatabaseSettings)


def test_a_folder_that_is_none_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFERS_SECRETS_DIR", str(folder / "absent"))
    with pytest.raises(ConfigurationError, match=r"^OFFERS_SECRETS_DIR: .*absent is no folder$"):
        load_settings(DatabaseSettings)
