"""What the recording adds: baseline wander, mains hum, muscle, electrode noise, movement, and its mistakes.

Noise arises at the nine electrodes and reaches the leads through the lead definitions, so neighbouring leads share it
and the limb-lead identities hold. Kinds and spectra: Sörnmo & Laguna, Bioelectrical Signal Processing in Cardiac and
Neurological Applications (2005), ch. 7; Moody, Muldrow & Mark, Computers in Cardiology 11:381 (1984).
"""

from functools import lru_cache

import numpy as np

from ecglens.simulator.rhythm import Breathing, Floats, Singles, sine

# Leads I, II, V1..V6 (rows) from electrodes RA, LA, LL, V1..V6 (columns); Wilson's terminal is the mean of the limbs.
ELECTRODES = np.zeros((8, 9), np.float32)
ELECTRODES[0, :3] = -1, 1, 0
ELECTRODES[1, :3] = -1, 0, 1
ELECTRODES[2:, :3] = -1 / 3
ELECTRODES[2:, 3:] = np.eye(6)

# Median level of each kind at one electrode in mV RMS and its log-normal spread between recordings, such that wander
# and the noise at 32-48 Hz are spread as in PTB-XL.
_WANDER, _CONTACT, _MUSCLE, _MAINS, _WHITE = 0.016, 0.007, 0.004, 0.002, 0.002
_SPREAD = 0.65
_SHIFTS = 0.025  # of an electrode, a second
_SWELL = 1.4  # s over which noise waxes and wanes

# Arms; left arm and leg; right arm and left leg.
_SWAPS = np.array([[[-1, 0], [-1, 1]], [[0, 1], [1, 0]], [[1, -1], [0, -1]]], float)

_PHASORS = np.exp(2j * np.pi * np.arange(256) / 256).astype(np.complex64)


def draw_noise(samples: int, fs: float, level: float, breathing: Breathing, rng: np.random.Generator) -> Singles:
    """Return noise in mV for leads I, II, V1..V6, shape (8, samples).

    ``level`` 1 is a routine resting ECG; amplitudes are proportional to it.
    """
    wander, contact, muscle, mains = level * rng.lognormal(0, _SPREAD, 4) * (_WANDER, _CONTACT, _MUSCLE, _MAINS)
    time = np.arange(samples) / fs
    shifts = rng.poisson(_SHIFTS * samples / fs)
    waves = [breathing.at(time - rng.uniform(0, 1)), _hum(time, fs, rng), *(_shift(time, rng) for _ in range(shifts))]
    gains = np.zeros((9, len(waves)))
    gains[:, 0] = wander * rng.uniform(0, 1, 9)
    gains[:, 1] = mains * np.sqrt(2) * rng.lognormal(0, 0.5, 9)
    for k in range(shifts):
        gains[rng.integers(9), 2 + k] = level * rng.uniform(0.05, 0.3) * rng.choice([-1, 1])
    noise = _random(samples, fs, (wander, contact, muscle, level * _WHITE), rng)
    return np.asarray(ELECTRODES @ noise + (ELECTRODES @ gains.astype(np.float32)) @ np.stack(waves))


def _random(samples: int, fs: float, levels: tuple[float, float, float, float], rng: np.random.Generator) -> Singles:
    """Gaussian noise at the nine electrodes, waxing and waning over seconds, of four ``levels``.

    They are drift below 1.5 Hz, of its own size at each electrode; the 1/f noise of the contact between skin and
    electrode up to some 15 Hz; muscle at 20-150 Hz, more of it at the limbs; and the amplifiers' white noise.
    """
    drift, *others = _spectra(samples, fs)
    fast = sum(level**2 * power for level, power in zip(levels[1:], others, strict=True))
    place = rng.lognormal(0, 0.35, (9, 1)) * np.r_[[1.3] * 3, [0.8] * 6][:, None]
    amplitude = (place * np.sqrt(fast)).astype(np.float32)
    slow = int(2 * samples / fs) + 1  # bins
    amplitude[:, :slow] += rng.lognormal(0, 0.7, (9, 1)) * levels[0] * np.sqrt(drift[:slow])
    knots = max(round(samples / fs / _SWELL), 1) + 1
    envelope = np.interp(np.linspace(0, knots - 1, samples), np.arange(knots), rng.lognormal(0, 0.4, knots))
    return _shaped(samples, amplitude, rng) * envelope.astype(np.float32)


@lru_cache(maxsize=4)
def _spectra(samples: int, fs: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Power of drift, contact noise, muscle and white noise by frequency bin, each 1 in all."""
    f = np.fft.rfftfreq(samples, 1 / fs)
    drift = np.where(f > 0.05, np.exp(-((f / 0.7) ** 2)) / (f**2 + 0.15**2), 0)
    contact = np.where(f > 0.5, np.exp(-f / 15) / np.maximum(f, 0.5), 0)
    muscle = (f / 30) ** 2 / (1 + (f / 30) ** 2) * np.exp(-((f / 130) ** 2))
    return _unit(drift), _unit(contact), _unit(muscle), _unit(np.sign(f))


def _shaped(samples: int, amplitude: Singles, rng: np.random.Generator) -> Singles:
    """Noise at nine electrodes whose RMS in each frequency bin is ``amplitude`` (9, samples // 2 + 1).

    Sinusoids of random phase, which in such numbers add up to Gaussian noise (Rice, Bell Syst Tech J 23:282, 1944).
    """
    spectrum = _PHASORS[rng.integers(0, 256, amplitude.shape, np.uint8)]
    spectrum *= amplitude * np.float32(samples / np.sqrt(2))
    return np.fft.irfft(spectrum, samples, axis=1).astype(np.float32, copy=False)


def _unit(shape: Floats) -> Floats:
    """Scale a power spectrum to the sum 1; one without power stays empty."""
    total = shape.sum()
    return np.asarray(shape / total) if total > 0 else shape


def _hum(time: Floats, fs: float, rng: np.random.Generator) -> Singles:
    """Mains hum of 50 or 60 Hz with its third harmonic; none where the sampling rate cannot hold it."""
    rate = rng.choice([50.0, 60.0])
    turns = rate * time + rng.uniform(0, 1)
    wave = np.zeros(time.size, np.float32)
    for harmonic, part in ((1, 1.0), (3, 0.15)):
        if harmonic * rate < fs / 2:
            wave += part * sine(harmonic * turns)
    return wave


def _shift(time: Floats, rng: np.random.Generator) -> Singles:
    """A sudden shift of size 1, from which the amplifier's high-pass lets the trace creep back over about a second."""
    since = np.maximum(time - rng.uniform(0, time[-1]), 0).astype(np.float32)
    return np.asarray(-np.expm1(-since / 0.05) * np.exp(-since / rng.uniform(0.3, 1.5)), np.float32)


def draw_swap(rng: np.random.Generator) -> Floats:
    """Draw which limb electrodes are interchanged: the (2, 2) matrix from I and II to what is recorded as I and II."""
    return np.asarray(_SWAPS[rng.choice(3, p=(0.6, 0.25, 0.15))])


def lose_electrode(leads: Singles, fs: float, rng: np.random.Generator) -> None:
    """Take one chest lead of ``leads`` (8, T) away from some time on, in place: NaN, or nothing but hum and drift."""
    row, length = rng.integers(2, 8), leads.shape[1]
    first = int(rng.choice([0.0, rng.uniform(0.3, 0.9)]) * length)
    if rng.random() < 0.5:
        leads[row, first:] = np.nan
        return
    time = np.arange(length - first) / fs
    hum = rng.uniform(0.05, 0.5) * _hum(time, fs, rng)
    drift = np.cumsum(rng.standard_normal(time.size)) * rng.uniform(0.2, 1.5) / np.sqrt(fs)
    leads[row, first:] = np.clip(hum + drift, -4, 4)
