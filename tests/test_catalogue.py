from dataclasses import dataclass
from pathlib import Path

import pytest

from ecglens.errors import ConfigError, UsageError
from ecglens.paper.catalogue import Catalogue


@dataclass(frozen=True)
class Thing:
    size: float


@pytest.fixture
def things(tmp_path: Path) -> Catalogue[Thing]:
    (tmp_path / "small.toml").write_text("size = 1.0")
    (tmp_path / "big.toml").write_text("size = 9.0")
    return Catalogue(tmp_path, Thing)


def test_entries_are_found_by_name(things: Catalogue[Thing]) -> None:
    assert things.names() == ("big", "small")
    assert things.find("big") == Thing(9.0)


def test_an_entry_is_described_by_the_first_line_of_its_file(things: Catalogue[Thing], tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text("# Neither small nor big.\nsize = 3.0")
    assert things.about("odd") == "Neither small nor big."


def test_a_file_elsewhere_is_found_by_its_path(
    things: Catalogue[Thing], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("own") / "mine.toml"
    path.write_text("size = 5")
    assert things.find(path) == things.find(str(path)) == Thing(5.0)


def test_an_unknown_name_is_refused_with_the_known_ones(things: Catalogue[Thing]) -> None:
    with pytest.raises(UsageError, match=r"unknown thing 'medium': choose big, small"):
        things.find("medium")


def test_an_absent_file_is_refused_by_its_path(things: Catalogue[Thing], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        things.find(tmp_path / "absent.toml")
