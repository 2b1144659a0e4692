"""Training: a tiny model overfits, a killed run ends as an unbroken one, examples follow from their keys."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ecglens import config, pages, train
from ecglens.cli import app
from ecglens.datasets.index import open_dataset
from ecglens.datasets.store import Read, Store, open_store, pack_exams
from ecglens.errors import ConfigError, UsageError
from ecglens.examples import Examples, Key, Order
from ecglens.inputs import ImageSpec, SignalSpec, prepare_record
from ecglens.models.checkpoint import label_weights, load_trained, save_trained
from ecglens.paper import layouts
from ecglens.recipe import Recipe, Stage
from ecglens.team import Team

RESIDUAL = SignalSpec(fs=100.0, samples=1000, beats=True)
TINY = Recipe(stages=(Stage(2, 1e-3),), batch_size=8, average=0.5)
WORN = replace(TINY, layouts=("12x1", "6x2"), wear=1.0)


@pytest.fixture(scope="module")
def store(simulated_ptbxl: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    exams = open_dataset(simulated_ptbxl)
    folder = tmp_path_factory.mktemp("store")
    pack_exams(exams, np.arange(len(exams)), folder, True, 1)
    return open_store(folder, SignalSpec(), 1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_trained(folder).network.state_dict()


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=0, rtol=0)


class Killed(BaseException):
    """What a test raises to end a run as a kill would: nothing in the run may catch it."""


def test_a_killed_run_goes_on_to_the_same_weights(
    simulated_ptbxl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"recipe": TINY, "device": "cpu", "workers": 0}
    train.train("signal", simulated_ptbxl, tmp_path / "whole", **options)

    learn, steps = train.Run._learn, iter(range(100))

    def learn_then_die(self: train.Run, *arguments: object) -> float:
        if next(steps) in (1, 3, 4):
            raise Killed
        return learn(self, *arguments)

    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)  # after every step
    monkeypatch.setattr(train.Run, "_learn", learn_then_die)
    for _ in range(3):
        with pytest.raises(Killed):
            train.train("signal", simulated_ptbxl, tmp_path / "broken", **options)
    train.train("signal", simulated_ptbxl, tmp_path / "broken", **options)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    lines = (tmp_path / "broken" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_a_finished_run_stays_as_it_is(simulated_ptbxl: Path, tmp_path: Path) -> None:
    for _ in range(2):
        train.train("signal", simulated_ptbxl, tmp_path, TINY, device="cpu", workers=0)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "curves.png").exists()


def test_another_recipe_does_not_overwrite_a_run(simulated_ptbxl: Path, tmp_path: Path) -> None:
    train.train("signal", simulated_ptbxl, tmp_path, TINY, device="cpu", workers=0)
    with pytest.raises(UsageError, match="another recipe"):
        train.train("signal", simulated_ptbxl, tmp_path, replace(TINY, seed=2), device="cpu", workers=0)


def test_a_tiny_model_overfits(simulated_ptbxl: Path, tmp_path: Path) -> None:
    recipe = Recipe(stages=(Stage(25, 3e-3),), batch_size=8, average=0.5, balance=0.0, scalars=True)
    train.train("signal", simulated_ptbxl, tmp_path, recipe, device="cpu", workers=0)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.1 < lines[0]["loss"]
    facts = load_trained(tmp_path).facts
    assert facts["exams"] == {"train": 24, "valid": 3}
    assert facts["scores"]["auroc"]["macro"] == 1.0


def test_the_image_network_trains_in_two_stages(simulated_ptbxl: Path, tmp_path: Path) -> None:
    """The paper's schedule: first the classifier alone, then everything but batch norm."""
    recipe = Recipe(stages=(Stage(1, 1e-2, "head", 64), Stage(1, 1e-3, "base", 64)), batch_size=24, average=0.0)
    train.train("image", simulated_ptbxl, tmp_path, recipe, device="cpu", workers=0)
    torch.manual_seed(recipe.seed)
    first = train.build_network(ImageSpec(size=64)).state_dict()
    last = weights(tmp_path)
    norms = [name for name in first if "running_mean" in name]
    assert all(torch.equal(first[name], last[name]) for name in norms)
    assert not torch.equal(first["net._fc.weight"], last["net._fc.weight"])


def test_the_command_takes_another_seed_than_the_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Recipe] = []
    monkeypatch.setattr(train, "train", lambda kind, data, out, recipe, **_: seen.append(recipe))
    for more in ([], ["--seed", "7"]):
        arguments = ["train", "signal", "--data", str(tmp_path), "--out", str(tmp_path), *more]
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert [recipe.seed for recipe in seen] == [1, 7]


def test_the_residual_network_trains_on_whole_signals_and_on_parts(simulated_ptbxl: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, fs=100.0, seconds=10.0, beats=True, auxiliary=True)
    train.train("signal", simulated_ptbxl, tmp_path / "whole", recipe, device="cpu", workers=0)
    assert load_trained(tmp_path / "whole").spec == RESIDUAL
    again = replace(recipe, partial=True, layouts=("roll-1", "3x4+1"))
    init = str(tmp_path / "whole" / "model.safetensors")
    train.train("signal", simulated_ptbxl, tmp_path / "part", again, init=init, device="cpu", workers=0)
    assert load_trained(tmp_path / "part").spec == replace(RESIDUAL, partial=True)


def test_a_network_is_trained_on_pages_as_they_are_read(
    simulated_ptbxl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[int, Read]] = []
    make = train.Examples
    monkeypatch.setattr(train, "Examples", lambda *a, **k: given.append(k["read"]) or make(*a, **k))
    recipe = replace(TINY, fs=100.0, seconds=10.0, beats=True, partial=True, read=4, layouts=("3x4+1",))
    train.train("signal", simulated_ptbxl, tmp_path, recipe, device="cpu", workers=0)
    assert len(list((tmp_path / "train" / "read").iterdir())) == 1
    assert 3 <= len(given[0]) <= 4
    assert all(inputs["signal"].shape == (12, 1000) for inputs in given[0].values())
    assert load_trained(tmp_path).spec == replace(RESIDUAL, partial=True)


def test_what_a_killed_run_had_read_is_kept(
    simulated_ptbxl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PART", 2)
    recipe = replace(TINY, fs=100.0, seconds=10.0, beats=True, partial=True, read=4, layouts=("3x4+1",))
    train.train("signal", simulated_ptbxl, tmp_path / "whole", recipe, device="cpu", workers=0)
    shutil.copytree(tmp_path / "whole" / "train", tmp_path / "killed" / "train")
    first, second = sorted((tmp_path / "killed" / "train" / "read").iterdir())
    before = first.stat().st_mtime_ns
    second.unlink()
    train.train("signal", simulated_ptbxl, tmp_path / "killed", recipe, device="cpu", workers=0)
    assert first.stat().st_mtime_ns == before
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


@pytest.mark.parametrize(("part", "learns"), [("head", {"classifier"}), ("base", {"stem", "classifier"})])
def test_a_stage_moves_only_its_part(part: str, learns: set[str]) -> None:
    network = train.build_network(SignalSpec())
    train.select_part(network, part)
    moving = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert learns <= moving
    assert ("stem" in moving) == (part == "base")
    assert not any(module.training for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))


@pytest.mark.parametrize("spec", [SignalSpec(samples=3000, partial=True), replace(RESIDUAL, partial=True)])
def test_a_teacher_and_auxiliary_targets_leave_an_ordinary_network(
    spec: SignalSpec, simulated_ptbxl: Path, tmp_path: Path
) -> None:
    save_trained(tmp_path, label_weights(train.build_network(spec)), spec, {})
    stages = (Stage(1, 1e-3, size=32),)
    recipe = Recipe(stages, batch_size=24, teacher=str(tmp_path), auxiliary=True, wear=0.5, worn=0.2)
    train.train("image", simulated_ptbxl, tmp_path / "run", recipe, device="cpu", workers=0)
    trained = load_trained(tmp_path / "run")
    assert trained.network.classifier.out_features == 7
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["average"]
    assert state["module.net._fc.weight"].shape[0] == 7 + 6 + 3  # labels, statements of the six kinds, RR, PR, QRS
    torch.testing.assert_close(state["module.net._fc.weight"][:7], weights(tmp_path / "run")["net._fc.weight"])


def test_a_network_of_whole_signals_is_no_teacher(simulated_ptbxl: Path, tmp_path: Path) -> None:
    save_trained(tmp_path, label_weights(train.build_network(SignalSpec())), SignalSpec(), {})
    with pytest.raises(UsageError, match="partial = true"):
        train.train("image", simulated_ptbxl, tmp_path / "run", replace(TINY, teacher=str(tmp_path)), workers=0)


def test_a_signal_network_is_given_its_teachers_answers_for_whole_exams(
    simulated_ptbxl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = train.build_network(RESIDUAL)
    torch.nn.init.zeros_(teacher.classifier.weight)
    with torch.no_grad():
        teacher.classifier.bias.copy_(torch.logit(torch.arange(1, 8) / 10))
    save_trained(tmp_path, label_weights(teacher), RESIDUAL, {})
    made: list[Examples] = []
    monkeypatch.setattr(train, "Examples", lambda *given, **more: made.append(Examples(*given, **more)) or made[-1])
    recipe = replace(TINY, stages=(Stage(1, 1e-3),), fs=100.0, seconds=10.0, beats=True, partial=True)
    train.train("signal", simulated_ptbxl, tmp_path / "run", replace(recipe, teacher=str(tmp_path)), workers=0)
    answers = made[0].targets["answers"]
    np.testing.assert_allclose(answers, np.tile(np.arange(1, 8) / 10, (24, 1)), atol=1e-6)
    np.testing.assert_array_equal(made[0][Key(3, 0, 300)]["answers"], answers[3])


def test_a_teacher_of_signals_takes_whole_ones_at_the_same_rate(simulated_ptbxl: Path, tmp_path: Path) -> None:
    for name, spec in (("part", replace(RESIDUAL, partial=True)), ("rate", SignalSpec())):
        (tmp_path / name).mkdir()
        save_trained(tmp_path / name, label_weights(train.build_network(spec)), spec, {})
        recipe = replace(TINY, fs=100.0, seconds=10.0, beats=True, teacher=str(tmp_path / name))
        with pytest.raises(UsageError, match="cannot teach signals"):
            train.train("signal", simulated_ptbxl, tmp_path / "run", recipe, workers=0)


def test_a_run_goes_on_elsewhere_without_the_dataset(simulated_ptbxl: Path, tmp_path: Path) -> None:
    short = replace(TINY, stages=(Stage(1, 1e-3),))
    train.train("signal", simulated_ptbxl, tmp_path / "here", short, device="cpu", workers=0)
    for path in (tmp_path / "here").glob("*/*.bz2"):
        copy = tmp_path / "there" / path.relative_to(tmp_path / "here")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    absent = tmp_path / "absent" / simulated_ptbxl.name
    train.train("signal", absent, tmp_path / "there", short, device="cpu", workers=0)
    assert_same(weights(tmp_path / "here"), weights(tmp_path / "there"))


def test_an_example_follows_from_its_key(store: Store) -> None:
    for spec, recipe in ((SignalSpec(), TINY), (ImageSpec(size=64), TINY), (ImageSpec(size=64), WORN)):
        examples = Examples(store, spec, recipe)
        once, again = examples[Key(4, 1, 64)], examples[Key(4, 1, 64)]
        assert all(torch.equal(once[name], again[name]) for name in once)
        other = examples[Key(4, 2, 64)]
        assert not torch.equal(next(iter(once.values())), next(iter(other.values())))


def test_pages_are_worn_and_laid_out_as_the_recipe_says(store: Store) -> None:
    fresh, worn = (Examples(store, ImageSpec(size=64), recipe)[Key(4, 1, 64)]["pixels"] for recipe in (TINY, WORN))
    assert fresh.shape == worn.shape
    assert not torch.equal(fresh, worn)
    with pytest.raises(ValueError, match="wear, worn and whole from 0 to 1"):
        replace(TINY, wear=1.5)


def test_an_epoch_shows_each_exam_once_and_resumes_anywhere() -> None:
    order = list(Order(24, TINY, 0))
    assert len(order) == 6
    for epoch in (0, 1):
        seen = [key.exam for batch in order for key in batch if key.epoch == epoch]
        assert sorted(seen) == list(range(24))
    assert list(Order(24, TINY, 0, first=4)) == order[4:]


def test_a_team_shares_out_each_batch() -> None:
    whole = [key for batch in Order(25, TINY, 0) for key in batch]
    shares = [[key for batch in Order(25, TINY, 0, 0, Team(rank, 3)) for key in batch] for rank in range(3)]
    assert sorted(key.exam for share in shares for key in share) == sorted(key.exam for key in whole)


def test_a_part_of_an_epoch_is_a_stage() -> None:
    recipe = replace(TINY, stages=(Stage(0.5, 1e-3), Stage(1, 1e-3)))
    assert len(list(Order(24, recipe, 0))) == 2  # rounded half to even
    assert {key.epoch for batch in Order(24, recipe, 1) for key in batch} == {1}


def test_prepared_records_are_close_to_what_diagnosis_prepares(store: Store, simulated_ptbxl: Path) -> None:
    exams = open_dataset(simulated_ptbxl)
    expected = prepare_record(exams.read(5), SignalSpec())
    assert store.record(5).fs == expected.fs
    np.testing.assert_allclose(store.record(5).signal, expected.signal, atol=0.03)  # steps of 10 uV, in III of two


def test_the_rate_rises_then_falls() -> None:
    values = [train.schedule(x) for x in np.linspace(0, 1, 101)]
    assert values[5] == pytest.approx(1.0)
    assert values[0] == values[-1] == pytest.approx(0.01)
    assert np.all(np.diff(values[:6]) > 0)
    assert np.all(np.diff(values[6:]) < 0)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[1] / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_released_recipes_load(path: Path) -> None:
    recipe = config.load(path, Recipe)
    assert set(recipe.train_folds).isdisjoint(recipe.valid_folds)
    assert set(recipe.layouts) <= set(layouts())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stages = [{epochs = 1, lr = 1e-3, part = 'tail'}]", "tail"),
        ("stages = [{epochs = -1, lr = 1e-3}]", "epochs"),
        ("stages = [{epochs = 1, lr = 1e-3}]\nbatch = 3", "batch"),
        ("stages = [{epochs = 1, lr = 1e-3}]\nread = 3", "goes with partial = true"),
    ],
)
def test_a_wrong_recipe_is_refused_when_loaded(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        config.load(path, Recipe)


def test_imagenet_weights_are_for_pictures(simulated_ptbxl: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ImageNet weights for signals"):
        train.train("signal", simulated_ptbxl, tmp_path, TINY, init="imagenet", workers=0)
