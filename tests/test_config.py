"""Settings come from the environment, from files it names, and from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from teachback.config import load
from teachback.errors import SetupError

ADDRESS = "postgresql://alice@db.example.org/teachback"


@pytest.mark.parametrize("name", ["DATABASE_URL_FILE", "TEACHBACK_DATABASE_URL_FILE"])
def test_database_is_read_from_a_file_when_either_name_names_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody ends up on the embedded server because of the name they chose."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "address").write_text(f"{ADDRESS}\n", encoding="utf-8")
    monkeypatch.setenv(name, str(tmp_path / "address"))
    address = load().database_url
    assert address is not None
    assert address.get_secret_value() == ADDRESS


def test_start_is_refused_once_when_a_named_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable, and each mistake stands in it once."""
    monkeypatch.setenv("TEACHBACK_PORT_FILE", str(tmp_path / "nothing"))
    with pytest.raises(SetupError) as refused:
        load()
    assert refused.value.message.count("TEACHBACK_PORT_FILE: No such file") == 1


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing about us."""
    for name in os.environ:
        if name.startswith("TEACHBACK_") or name in ("DATABASE_URL", "OPENAI_BASE_URL"):
            monkeypatch.delenv(name)
    return monkeypatch


def refusal() -> str:
    with pytest.raises(SetupError) as refused:
        load()
    return refused.value.message


def test_defaults_are_safe_when_nothing_is_said(bare: pytest.MonkeyPatch) -> None:
    """Loopback, the embedded database, keys everywhere, a worker."""
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8700)
    assert settings.base_url == "http://127.0.0.1:8700"
    assert settings.database_url is None
    assert settings.worker
    assert not settings.metrics_public


def test_all_mistakes_are_named_at_once(bare: pytest.MonkeyPatch) -> None:
    """Unknown names, wrong values: one start is enough to learn all of them."""
    bare.setenv("TEACHBACK_HOTS", "0.0.0.0")
    bare.setenv("TEACHBACK_SECRETKEY_FILE", "/nowhere")
    bare.setenv("TEACHBACK_PORT", "eighty")
    bare.setenv("TEACHBACK_LOG_LEVEL", "loud")
    bare.setenv("TEACHBACK_PUBLIC_URL", "teachback.example.com")
    told = refusal()
    for name in ("HOTS", "SECRETKEY_FILE", "PORT", "LOG_LEVEL", "PUBLIC_URL"):
        assert told.count(f"TEACHBACK_{name}") == 1, told


def test_value_of_a_secret_is_not_repeated_when_it_is_wrong(bare: pytest.MonkeyPatch) -> None:
    """Nor is it shown where settings are printed."""
    bare.setenv("TEACHBACK_SECRET_KEY", "hush hush")
    bare.setenv("DATABASE_URL", "postgresql://alice:hush@db/x")
    bare.setenv("TEACHBACK_PORT", "-1")
    assert "hush" not in refusal()
    bare.delenv("TEACHBACK_PORT")
    assert "hush" not in repr(load()) + str(load())


@pytest.mark.parametrize("name", ["DATABASE_URL", "TEACHBACK_DATABASE_URL"])
def test_database_has_two_names(bare: pytest.MonkeyPatch, name: str) -> None:
    """The usual one of hosts, and ours."""
    bare.setenv(name, ADDRESS)
    address = load().database_url
    assert address is not None
    assert address.get_secret_value() == ADDRESS


def test_our_name_of_the_database_wins_when_both_are_set(bare: pytest.MonkeyPatch) -> None:
    """DATABASE_URL may belong to another program of the same host."""
    bare.setenv("DATABASE_URL", "postgresql://other/x")
    bare.setenv("TEACHBACK_DATABASE_URL", ADDRESS)
    address = load().database_url
    assert address is not None
    assert address.get_secret_value() == ADDRESS


@pytest.mark.parametrize("name", ["TEACHBACK_PORT", "TEACHBACK_SECRET_KEY", "OPENAI_API_KEY"])
def test_every_setting_can_be_a_file(bare: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """The way secrets are mounted into containers; not both at once."""
    (tmp_path / "value").write_text("4711\n", encoding="utf-8")
    bare.setenv(f"{name}_FILE", str(tmp_path / "value"))
    settings = load()
    found = {"TEACHBACK_PORT": settings.port, "TEACHBACK_SECRET_KEY": settings.secret_key,
             "OPENAI_API_KEY": settings.openai_api_key}[name]  # fmt: skip
    shown = found.get_secret_value() if isinstance(found, SecretStr) else str(found)
    assert shown == "4711"
    bare.setenv(name, "1")
    assert "both set" in refusal()


def test_file_that_is_no_text_is_a_mistake(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A binary secret would be read as something else."""
    (tmp_path / "value").write_bytes(b"\xff\xfe\x00")
    bare.setenv("TEACHBACK_SECRET_KEY_FILE", str(tmp_path / "value"))
    assert "not text" in refusal()


def test_command_line_wins_over_the_environment(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was typed last counts; what was not typed does not."""
    bare.setenv("TEACHBACK_PORT", "1")
    bare.setenv("TEACHBACK_HOST", "0.0.0.0")
    settings = load(port=0, host=None, data_dir=tmp_path)
    assert (settings.port, settings.host, settings.data_dir) == (0, "0.0.0.0", tmp_path)
    assert settings.base_url == "http://127.0.0.1:0"


def test_address_for_people_has_no_slash_at_its_end(bare: pytest.MonkeyPatch) -> None:
    """Paths are put behind it."""
    bare.setenv("TEACHBACK_PUBLIC_URL", "https://teachback.example.com/")
    assert load().base_url == "https://teachback.example.com"
