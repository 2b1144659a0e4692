"""Frozen dataclasses from TOML: unknown keys, wrong types and missing files are refused when loaded."""

import dataclasses
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ecglens.errors import ConfigError

T = TypeVar("T")


def load(path: Path, kind: type[T]) -> T:
    """Read a TOML file into the dataclass ``kind``. Raises ConfigError naming the file and the key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return build(kind, values, str(path))


def build(kind: type[T], values: dict[str, Any], where: str) -> T:
    """Build the dataclass ``kind`` from plain values; a whole number will do for a float, a list for a tuple.

    Raises ConfigError that begins with ``where``, the values' origin, and names the key: unknown, absent, of the wrong
    type, or refused by ``kind`` with a ValueError.
    """
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(fields)):
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(fields)}")
    arguments = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in values.items()}
    required = [f.name for f in fields.values() if f.default is f.default_factory is dataclasses.MISSING]
    if absent := [name for name in required if name not in arguments]:
        raise ConfigError(f"{where}: key {absent[0]!r} is required; add it")
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def describe(kind: type[Any], prefix: str = "") -> Iterator[str]:
    """Yield a line of TOML for each key of the dataclass ``kind``: its default, or an example where there is none.

    What else may stand there, and what an ``Annotated`` type says of the key, such as its unit, follow as a comment.
    ``prefix`` stands before the names of the keys.
    """
    hints, bare = get_type_hints(kind, include_extras=True), get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name, hint, notes = f"{prefix}{field.name}", bare[field.name], []
        if dataclasses.is_dataclass(hint):
            yield from describe(hint, f"{name}.")  # type: ignore[arg-type]
            continue
        if field.default is dataclasses.MISSING:
            notes.append("required")
        value = _example(hint) if notes else json.dumps(field.default)
        if get_origin(hint) is Literal:
            notes.append("or " + ", ".join(repr(arm) for arm in get_args(hint) if arm != field.default))
        notes.extend(getattr(hints[field.name], "__metadata__", ()))
        yield f"{name} = {value}".ljust(40) + f"  # {'; '.join(notes)}" * bool(notes)


def _example(hint: Any) -> str:
    """A value of the type ``hint`` as TOML has it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple:
        return f"[{', '.join(_example(arm) for arm in (args[:1] * 2 if args[-1] is Ellipsis else args))}]"
    if origin is Literal:
        return json.dumps(args[0])
    if origin in (Union, UnionType):
        return _example(args[0])
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return f"{{{', '.join(f'{field.name} = {_example(hints[field.name])}' for field in dataclasses.fields(hint))}}}"
    return {bool: "true", int: "3", float: "2.5", str: '"text"'}.get(hint, "{}")


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return build(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list):
        inner = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else list(args)
        if len(inner) != len(value):
            raise ConfigError(
                f"{where}: expected {len(inner)} values, got {len(value)}; give {_example(hint)} or alike"
            )
        return tuple(_convert(h, v, where) for h, v in zip(inner, value, strict=True))
    if origin is Literal:
        if any(value == choice and type(value) is type(choice) for choice in args):  # True == 1 == 1.0
            return value
        raise ConfigError(f"{where}: {value!r} is none of {', '.join(map(str, args))}")
    if origin in (Union, UnionType):
        for arm in args:
            try:
                return _convert(arm, value, where)
            except ConfigError:
                continue
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    kind = "list" if origin is tuple else getattr(hint, "__name__", hint)  # TOML's word
    raise ConfigError(f"{where}: {value!r} is not of type {kind}; give {_example(hint)} or alike")
