"""The speed and the gain at which a page was recorded, and where they come from."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from ecglens.errors import UsageError

Gain = float | tuple[float, float]  # mm/mV; two, of limb and chest leads
Source = Literal["given", "assumed"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Speed in mm/s, gains of limb and chest leads in mm/mV, and where they come from; the usual ones are assumed.

    Raises UsageError for what is no ECG's.
    """

    speed: float = 25.0
    gains: tuple[float, float] = (10.0, 10.0)
    speed_from: Source = "assumed"
    gain_from: Source = "assumed"

    def __post_init__(self) -> None:
        if not (5 <= self.speed <= 200 and all(1 <= value <= 100 for value in self.gains)):
            gains = "/".join(f"{value:g}" for value in dict.fromkeys(self.gains))
            raise UsageError(
                f"{self.speed:g} mm/s and {gains} mm/mV are no ECG's: give 5 to 200 mm/s and 1 to 100 mm/mV"
            )

    @classmethod
    def given(cls, speed: float | None = None, gain: Gain | None = None) -> Self:
        """What is said of a page; what is not, None, is assumed to be as usual."""
        usual = cls()
        gains = usual.gains if gain is None else gain if isinstance(gain, tuple) else (gain, gain)
        if len(gains) != 2:
            raise UsageError(f"a gain of {gain}: give mm/mV, or two for limb and chest leads, as in (10, 5)")
        said: tuple[Source, ...] = tuple("assumed" if each is None else "given" for each in (speed, gain))
        return cls(usual.speed if speed is None else speed, gains, *said)

    def gain(self, lead: str) -> float:
        """Millimetres per mV of a lead."""
        return self.gains[lead.startswith("V")]

    def as_dict(self) -> dict[str, Any]:
        """The values for JSON."""
        return {
            "speed_mm_s": self.speed,
            "speed_from": self.speed_from,
            "gain_mm_mv": dict(zip(("limb", "chest"), self.gains, strict=True)),
            "gain_from": self.gain_from,
        }
