"""The speed and the gain at which a page was recorded, and where they come from."""

from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["given", "assumed"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Speed in mm/s, gains of limb and chest leads in mm/mV, and where they come from; the usual ones are assumed."""

    speed: float = 25.0
    gains: tuple[float, float] = (10.0, 10.0)
    speed_from: Source = "assumed"
    gain_from: Source = "assumed"

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
