"""Settings come from the environment, from files it names, and from nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

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
