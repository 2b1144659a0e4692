"""What a training run depends on besides the data: a recipe, checked when it is loaded."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

from ecglens.paper import PAPER_LAYOUTS


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training of ``epochs`` passes over the exams, or a part of one: ``part`` says what learns.

    ``head``: the classifier alone; ``base``: everything but batch norm; ``all``: everything.
    The rate rises linearly for the first 5 % of the steps and falls as a cosine to 1 % of ``lr``.
    """

    epochs: float
    lr: float
    part: Literal["head", "base", "all"] = "all"
    size: int = 300

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.lr <= 0 or self.size < 32:
            raise ValueError("a stage needs epochs > 0, lr > 0 and size >= 32")

    def steps(self, per_epoch: int) -> int:
        """How many batches the stage has."""
        return max(1, round(self.epochs * per_epoch))


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a training run depends on besides the data; a TOML file of the same keys holds one."""

    stages: tuple[Stage, ...]
    batch_size: int = 64
    weight_decay: float = 0.01
    balance: float = 0.999  # beta of the class-balanced loss (Cui et al., CVPR 2019); 0 weighs all alike
    average: float = 0.999  # decay of the running mean of the weights that is scored and kept
    fs: float = 300.0  # signals: samples a second
    seconds: float = 5.0  # signals: of one window
    scalars: bool = False  # signals: the eight scalars are given as well
    beats: bool = False  # signals: the mean beat is given as well, to the residual instead of the Inception network
    partial: bool = False  # signals: each is shown as far as a page of ``layouts`` shows it
    whole: float = 0.15  # signals: if partial, the share that is shown whole all the same
    read: int = 0  # signals: if partial, so many exams are drawn as pages, once, and often shown as read off these
    layouts: tuple[str, ...] = PAPER_LAYOUTS  # names, or TOML files
    wear: float = 0.0  # pages: those that are worn are worn to a grade between 0 and this
    worn: float = 1.0  # pages: the share of them that is worn, if any is
    # The run folder of a signal network whose answers are learnt beside the labels: of one that is ``partial`` for what
    # each page shows, of one that is not, by signals, for whole exams.
    teacher: str | None = None
    auxiliary: bool = False  # the dataset's statements, RR, PR and QRS are learnt as well; the trained model drops them
    seed: int = 1
    train_folds: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    valid_folds: tuple[int, ...] = (9,)

    def __post_init__(self) -> None:
        if not self.stages or self.batch_size < 1 or not self.train_folds or not self.valid_folds:
            raise ValueError("a recipe needs stages, a batch_size of 1 or more, and folds to train and to validate on")
        if not (0 <= self.balance < 1 and 0 <= self.average < 1 and self.weight_decay >= 0):
            raise ValueError("balance and average must be from 0 to below 1, weight_decay 0 or more")
        if not (self.layouts and 0 <= self.wear <= 1 and 0 <= self.worn <= 1 and 0 <= self.whole <= 1):
            raise ValueError("a recipe needs layouts, and wear, worn and whole from 0 to 1")
        if not (5 <= self.seconds <= 60 and 100 <= self.fs <= 1000):
            raise ValueError("a recipe needs windows of 5 to 60 seconds, and fs from 100 to 1000 Hz")
        if self.read < 0 or (self.read and (not self.partial or self.scalars)):
            raise ValueError("read takes a number of exams, and goes with partial = true and without scalars")
        if self.read and self.seconds < 10:
            raise ValueError("read goes with seconds = 10 or more, which is what pages show")
        if self.scalars and self.beats:
            raise ValueError("scalars are for the Inception network, beats for the residual one: give one of them")

    def epochs_before(self, stage: int) -> int:
        """How many epochs, the begun ones counted whole, the stages before ``stage`` have."""
        return sum(ceil(s.epochs) for s in self.stages[:stage])


PAPER_IMAGE = Recipe(stages=(Stage(2, 5e-3, "head"), Stage(5, 1e-4, "base")))
PAPER_SIGNAL = Recipe(stages=(Stage(16, 3e-3),))
