"""Folders of TOML files, each one entry of a kind and known by its file name."""

from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from ecglens import config
from ecglens.errors import UsageError

T = TypeVar("T")


class Catalogue(Generic[T]):
    """The entries of ``folder``, each of them a TOML file that describes a ``kind``."""

    def __init__(self, folder: Path, kind: type[T]) -> None:
        self._folder, self._kind = folder, kind
        self._entry = cache(lambda name: config.load(folder / f"{name}.toml", kind))
        self._names = cache(lambda: tuple(sorted(path.stem for path in folder.glob("*.toml"))))

    def names(self) -> tuple[str, ...]:
        """The names of the entries, sorted."""
        return self._names()

    def about(self, name: str) -> str:
        """What the entry called ``name`` is, in the words of its file's first line, a comment."""
        with (self._folder / f"{name}.toml").open(encoding="utf-8") as file:
            return file.readline().lstrip("#").strip()

    def find(self, wanted: str | Path) -> T:
        """Return the entry called ``wanted``, or what the TOML file at the path ``wanted`` describes.

        Raises UsageError for a name that is not there, ConfigError for a file that is wrong.
        """
        if Path(wanted).suffix == ".toml":
            return config.load(Path(wanted), self._kind)
        if wanted not in self.names():
            kind = self._kind.__name__.lower()
            raise UsageError(f"unknown {kind} {str(wanted)!r}: choose {', '.join(self.names())} or give a TOML file")
        return self._entry(str(wanted))
