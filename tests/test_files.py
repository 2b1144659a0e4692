"""A file that cannot be written whole leaves the old one."""

from pathlib import Path

import pytest

from ecglens.files import replace_file


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    replace_file(path, lambda p: p.write_text("old"))

    def fail(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        replace_file(path, fail)
    assert path.read_text() == "old"
    replace_file(path, lambda p: p.write_text("new"))
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["weights"]
