"""Measure how right ``ecglens.intervals`` is.

    python benchmarks/intervals.py                              on simulated records, whose truth is known
    python benchmarks/intervals.py --compare                    and NeuroKit2's delineators on the same records
    python benchmarks/intervals.py --data PTBXL                 also on PTB-XL: rate, blocks, speed
    python benchmarks/intervals.py --data PTBXL --compare       with two QRS detectors to agree with
    python benchmarks/intervals.py --data PTBXL --count 0 --pages 30    off pages, against the same exams' signals

Simulated records come from every finding the simulator knows, with its noise scaled to ``--snr`` dB: the mean power of
the clean leads I, II, V1-V6, each without its mean, over that of the noise. Errors are of a record's median against
that of the true beats of the commonest kind: median and 95th percentile of their size, bias, and how many records lack
a wave that is there (miss) or have one that is not (made). ``--compare`` needs ``pip install neurokit2`` (and ``wfdb``,
in the development extra).
"""

import argparse
import ast
import csv
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecglens import simulate, simulator
from ecglens.diagnosis import look
from ecglens.intervals import Measurements, measure
from ecglens.io import wfdb
from ecglens.leads import INDEPENDENT, INDEX
from ecglens.metrics import auroc
from ecglens.paper import render
from ecglens.record import Record
from ecglens.signal import resample
from ecglens.simulator.findings import NOT_SINUS

Values = dict[str, float]  # by name in QUANTITIES; NaN or nothing where absent
Method = Callable[[Record], Values]

INTERVALS = ("PR", "QRS", "QT", "ST", "P")
QUANTITIES = ("rate", *INTERVALS, "axis")
TARGETS = {"PR": 12.0, "QRS": 10.0, "QT": 15.0}  # ms, median absolute error over all conduction types
SEXES = ("female", "male")
LAYOUTS = ("3x4", "3x4+1", "6x2", "12x1")
OTHER_RHYTHMS = {"AFIB", "AFLT", "SVTAC", "PSVT", "3AVB", "PACE"}  # SCP codes; mostly without a PR interval
MATCHED = 0.08  # s within which a found beat is a true one


@dataclass
class Tally:
    """What one method made of the records of one kind."""

    errors: dict[str, list[float]]
    missed: Counter[str]
    made: Counter[str]
    records: int = 0
    seconds: float = 0.0

    @classmethod
    def empty(cls) -> "Tally":
        return cls(defaultdict(list), Counter(), Counter())

    def add(self, found: Values, true: Values) -> None:
        self.records += 1
        for name, value in true.items():
            there, seen = np.isfinite(value), np.isfinite(found.get(name, np.nan))
            if there and seen:
                error = found[name] - value
                self.errors[name].append((error + 180) % 360 - 180 if name == "axis" else error)
            self.missed[name] += there and not seen
            self.made[name] += seen and not there

    def merge(self, other: "Tally") -> None:
        for name, errors in other.errors.items():
            self.errors[name] += errors
        self.missed += other.missed
        self.made += other.made
        self.records += other.records
        self.seconds += other.seconds


def kinds() -> dict[str, frozenset[str]]:
    """The hearts to simulate: without a finding, with each alone, and with labels that come together."""
    pairs = [("AF", "RBBB"), ("AF", "LBBB"), ("1dAVb", "ST"), ("1dAVb", "SB"), ("1dAVb", "RBBB"), ("1dAVb", "LBBB")]
    sets = [(), *((code,) for code in simulator.FINDINGS if code not in SEXES), *pairs]
    return {"+".join(some) or "none": frozenset(some) for some in sets}


def records(findings: frozenset[str], count: int, fs: float, snr: float, seed: int) -> Iterator[Record]:
    """Noisy records of one kind, men and women by turns."""
    for i in range(count):
        wanted = findings | {SEXES[i % 2]}
        clean, noisy = (simulate(wanted, rng=np.random.default_rng([seed, i]), fs=fs, noise=level) for level in (0, 1))
        if "OFF" in findings:  # an electrode that is off writes noise of its own
            yield noisy
            continue
        noise = noisy.signal - clean.signal
        gain = np.sqrt(power(clean.signal) / power(noise) / 10 ** (snr / 10))
        yield Record((clean.signal + gain * noise).astype(np.float32), fs, clean.truth)


def power(signal: np.ndarray) -> float:
    eight = signal[[INDEX[name] for name in INDEPENDENT]].astype(float)
    return float((eight - eight.mean(axis=1, keepdims=True)).var(axis=1).mean())


def truth(record: Record) -> Values:
    known = record.truth
    assert known is not None
    rate = 60 * (known.r_peaks.size - 1) / np.ptp(known.r_peaks) if known.r_peaks.size > 1 else np.nan
    ectopic = known.beats != "E" if "E" in known.beats else np.isin(known.beats, ["A", "V"])
    usual = {name: middle(known.per_beat(name)[~ectopic]) for name in INTERVALS}
    return {"rate": rate, **usual, "axis": known.axis}


def ours(record: Record) -> Values:
    return values_of(measure(record))


def values_of(m: Measurements) -> Values:
    spans = {"PR": m.pr, "QRS": m.qrs[m.usual], "QT": m.qt, "ST": m.st, "P": m.p}
    return {"rate": m.heart_rate, **{name: middle(values) for name, values in spans.items()}, "axis": m.axis}


def middle(values: np.ndarray) -> float:
    """Median of what is there; NaN of nothing."""
    return float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else np.nan


def beat_errors(record: Record, errors: dict[str, list[float]]) -> None:
    """Add the errors of single beats: PR of every conducted beat, RR, and beats that were missed or made."""
    known, m = record.truth, measure(record)
    assert known is not None
    inner = (known.r_peaks > 0.3) & (known.r_peaks < record.duration - 0.3)
    gaps = np.abs(known.r_peaks[:, None] - m.r_peaks)
    found = gaps.min(axis=1, initial=np.inf) < MATCHED
    errors["beats missed"] += (~found[inner]).astype(float).tolist()
    sure = (m.r_peaks > 0.3) & (m.r_peaks < record.duration - 0.3)
    errors["beats made"] += (gaps.min(axis=0, initial=np.inf)[sure] >= MATCHED).astype(float).tolist()
    if m.r_peaks.size:
        pr, mine = known.per_beat("PR"), m.pr[gaps.argmin(axis=1)]
        both = inner & found & np.isfinite(pr) & np.isfinite(mine)
        errors["PR of beats"] += (mine - pr)[both].tolist()
        errors["PR missed"] += np.isnan(mine[inner & found & np.isfinite(pr)]).astype(float).tolist()
        errors["PR made"] += np.isfinite(mine[inner & found & np.isnan(pr)]).astype(float).tolist()


# --- Other people's delineators --------------------------------------------------------------------------------------


def neurokit(method: str) -> Method:
    """NeuroKit2's delineator (Makowski et al., Behav Res Methods 53:1689, 2021) on lead II, with its defaults."""
    import neurokit2 as nk

    def delineate(record: Record) -> Values:
        lead, fs = record.signal[INDEX["II"]].astype(float), int(record.fs)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cleaned = nk.ecg_clean(lead, sampling_rate=fs)
                peaks = nk.ecg_peaks(cleaned, sampling_rate=fs)[1]["ECG_R_Peaks"]
                waves = nk.ecg_delineate(cleaned, peaks, sampling_rate=fs, method=method)[1]
        except (ValueError, IndexError, KeyError, ZeroDivisionError, TypeError):
            return {}
        return {"rate": beats_per_minute(peaks, fs), **_medians(waves, fs)}

    return delineate


def _medians(waves: dict[str, list[float]], fs: float) -> Values:
    at = {name: np.array(places, float) for name, places in waves.items()}
    start = at.get("ECG_R_Onsets", at["ECG_Q_Peaks"])  # "peak" knows no bounds of QRS, only Q and S
    end = at.get("ECG_R_Offsets", at["ECG_S_Peaks"])
    nowhere = np.empty(0)
    spans = {
        "PR": _span(at.get("ECG_P_Onsets", nowhere), start, 0.6 * fs),
        "QRS": _span(start, end, 0.3 * fs),
        "QT": _span(start, at.get("ECG_T_Offsets", nowhere), 0.8 * fs),
        "ST": _span(end, at.get("ECG_T_Onsets", nowhere), 0.5 * fs),
        "P": _span(at.get("ECG_P_Onsets", nowhere), at.get("ECG_P_Offsets", nowhere), 0.3 * fs),
    }
    return {name: 1000 * span / fs for name, span in spans.items()}


def _span(start: np.ndarray, end: np.ndarray, longest: float) -> float:
    """Median time from each start to the end next after it; the lists may differ in length."""
    ahead = end[None, :] - start[:, None]
    ahead = np.where((ahead > 0) & (ahead < longest), ahead, np.inf).min(axis=1, initial=np.inf)
    return float(np.median(ahead[np.isfinite(ahead)])) if np.isfinite(ahead).any() else np.nan


def beats_per_minute(peaks: np.ndarray, fs: float) -> float:
    return 60 * fs * (len(peaks) - 1) / float(np.ptp(peaks)) if len(peaks) > 1 else np.nan


def detectors() -> dict[str, Callable[[Record], np.ndarray]]:
    """Beats (s) by other people's QRS detectors on lead II, at 500 Hz: at 100 Hz they miss many."""
    import neurokit2 as nk
    from wfdb.processing import xqrs_detect

    def by_xqrs(record: Record) -> np.ndarray:
        lead = resample(record, 500).signal[INDEX["II"]].astype(float)
        return np.asarray(xqrs_detect(lead, 500, verbose=False)) / 500

    def by_neurokit(record: Record) -> np.ndarray:
        lead = resample(record, 500).signal[INDEX["II"]].astype(float)
        found = nk.ecg_peaks(nk.ecg_clean(lead, sampling_rate=500), sampling_rate=500)
        return np.asarray(found[1]["ECG_R_Peaks"]) / 500

    return {"xqrs": by_xqrs, "NeuroKit2": by_neurokit}


# --- Tables ----------------------------------------------------------------------------------------------------------


def run_simulated(options: argparse.Namespace, fs: float, methods: dict[str, Method]) -> None:
    totals = {name: Tally.empty() for name in methods}
    sinus: list[float] = []
    beats: dict[str, dict[str, list[float]]] = {}
    tables: dict[str, list[str]] = defaultdict(list)
    for kind, findings in kinds().items():
        tallies = {name: Tally.empty() for name in methods}
        errors = beats.setdefault(kind, defaultdict(list))
        for record in records(findings, options.count, fs, options.snr, options.seed):
            true = truth(record)
            for name, method in methods.items():
                start = time.process_time()
                found = method(record)
                tallies[name].seconds += time.process_time() - start
                tallies[name].add(found, true)
            beat_errors(record, errors)
        for name, tally in tallies.items():
            totals[name].merge(tally)
            tables[name].append(line(kind, tally))
        if not findings & (NOT_SINUS | {"PACE"}):
            rate = tallies["ecglens"]
            sinus += [*np.abs(rate.errors["rate"]), *[np.inf] * rate.missed["rate"]]
    for name, rows in tables.items():
        heading(f"{name}, {fs:g} Hz, {options.snr:g} dB SNR")
        print("\n".join([*rows, line("all", totals[name])]))
        print(f"{totals[name].records / max(totals[name].seconds, 1e-9):.0f} records/s of processor time")
    print_beats(beats)
    verdict(totals["ecglens"], np.array(sinus))


def heading(what: str) -> None:
    print(f"\n{what}: median |error| / 95 % / bias, miss, made")
    print(f"{'':12}" + "".join(f"{quantity:>27}" for quantity in QUANTITIES))


def line(kind: str, tally: Tally) -> str:
    return f"{kind:12}" + "".join(cell(name, tally) for name in QUANTITIES)


def cell(name: str, tally: Tally) -> str:
    errors = np.array(tally.errors[name])
    text = "-"
    if errors.size:
        size = np.abs(errors)
        text = f"{np.median(size):.1f}/{np.percentile(size, 95):.1f}/{np.median(errors):+.1f}"
    lost, made = (f"{100 * count[name] / tally.records:.0f}%" for count in (tally.missed, tally.made))
    return f"{text:>17}{lost:>5}{made:>5}"


def print_beats(beats: dict[str, dict[str, list[float]]]) -> None:
    print("\nsingle beats: PR median |error| / 95 %, PR missed, PR made, beats missed, beats made")
    for kind, errors in beats.items():
        size = np.abs(errors["PR of beats"])
        text = f"{np.median(size):.1f}/{np.percentile(size, 95):.1f}" if size.size else "-"
        shares = [errors[name] for name in ("PR missed", "PR made", "beats missed", "beats made")]
        print(f"{kind:12}{text:>12}" + "".join(f"{100 * np.mean(x):8.2f}%" if x else f"{'-':>9}" for x in shares))


def verdict(total: Tally, sinus: np.ndarray) -> None:
    print()
    for name, limit in TARGETS.items():
        print(f"{name}: median |error| {np.median(np.abs(total.errors[name])):.1f} ms over all kinds, target {limit:g}")
    print(f"rate within 1/min on {100 * np.mean(sinus <= 1):.1f} % of sinus records, target 99")


def run_ptbxl(options: argparse.Namespace) -> None:
    listed = sorted(exam_groups(options.data).items())
    groups = {name: draw(rows, options.exams, np.random.default_rng(options.seed)) for name, rows in listed}
    found: dict[str, list[Values]] = {}
    seconds = 0.0
    for name, group in groups.items():
        start = time.process_time()
        found[name] = [ours(record) for record in group]
        seconds += time.process_time() - start
    print(f"\nPTB-XL: {sum(map(len, groups.values())) / seconds:.0f} records/s of processor time")
    print(f"{'':8}{'records':>8}{'with PR':>9}" + "".join(f"{name:>18}" for name in QUANTITIES) + "   (5, 50, 95 %)")
    for name, rows in found.items():
        columns = {quantity: np.array([row[quantity] for row in rows]) for quantity in QUANTITIES}
        spans = (f"{'/'.join(f'{v:.0f}' for v in np.nanpercentile(x, [5, 50, 95])):>18}" for x in columns.values())
        print(f"{name:8}{len(rows):8}{np.isfinite(columns['PR']).mean():9.2f}" + "".join(spans))
    for name, quantity in (("1AVB", "PR"), ("CRBBB", "QRS"), ("CLBBB", "QRS")):
        ill, well = ([row[quantity] for row in found[group]] for group in (name, "NORM"))
        values = np.array([*ill, *well])
        kept = np.isfinite(values)
        print(f"AUROC of {quantity} for {name}: {auroc((np.arange(values.size) < len(ill))[kept], values[kept]):.3f}")
    if options.compare:
        compare_rates([*groups["NORM"], *groups["SINUS"]])


def run_pages(options: argparse.Namespace) -> None:
    """What is measured off pages, fresh ones, against what is measured of the signals they were drawn of."""
    groups = exam_groups(options.data)
    for layout in LAYOUTS:
        heading(f"PTB-XL as {layout}")
        for name in ("NORM", "1AVB", "CRBBB", "CLBBB", "AFIB"):
            tally, refused = Tally.empty(), 0
            for record in draw(sorted(groups[name]), options.pages, np.random.default_rng(options.seed)):
                measured = look(render(record, layout, px_per_mm=5), by_traces=True).measured
                if measured is None:
                    refused += 1
                else:
                    tally.add(values_of(measured), ours(record))
            print(line(name, tally) + f"  {refused} not read" * bool(refused), flush=True)


def exam_groups(folder: Path) -> dict[str, list[Path]]:
    """Exams by SCP code; sinus rhythm (``SINUS``) is what has none of ``OTHER_RHYTHMS``."""
    groups: dict[str, list[Path]] = defaultdict(list)
    column = "filename_hr" if (folder / "records500").is_dir() else "filename_lr"
    with (folder / "ptbxl_database.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            codes, path = set(ast.literal_eval(row["scp_codes"])), folder / f"{row[column]}.hea"
            other = codes & OTHER_RHYTHMS
            for name in ("NORM", "1AVB", "CRBBB", "CLBBB", "STACH", "SBRAD"):
                if name in codes and not other:
                    groups[name].append(path)
            if "SR" in codes and not other:
                groups["SINUS"].append(path)
            for name in other:
                groups[name].append(path)
    return groups


def draw(paths: list[Path], count: int, rng: np.random.Generator) -> list[Record]:
    return [wfdb.read(paths[i]) for i in rng.permutation(len(paths))[:count]]


def compare_rates(group: list[Record]) -> None:
    """Where two detectors that know nothing of ours agree to 1/min, so should we.

    Rates are of the beats at least 0.7 s from both ends: near them, detectors still settle and QRS are cut.
    """
    methods = detectors() | {"ecglens": lambda record: measure(record).r_peaks}
    rates = {name: np.array([inner_rate(find(record), record) for record in group]) for name, find in methods.items()}
    one, two, mine = rates.values()
    agree = np.abs(one - two) <= 1
    print(f"xqrs and NeuroKit2 agree to 1/min on {100 * agree.mean():.1f} % of {agree.size} sinus records;", end=" ")
    print(f"there we do on {100 * np.mean(np.abs(mine - (one + two) / 2)[agree] <= 1):.1f} %")
    for name in ("xqrs", "NeuroKit2"):
        print(f"of all, {name} and we agree on {100 * np.mean(np.abs(mine - rates[name]) <= 1):.1f} %")


def inner_rate(peaks: np.ndarray, record: Record) -> float:
    return beats_per_minute(peaks[(peaks > 0.7) & (peaks < record.duration - 0.7)], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="records a kind and rate; 0 leaves simulation out")
    parser.add_argument("--fs", type=float, nargs="+", default=[100.0, 500.0], help="sampling rates, Hz")
    parser.add_argument("--snr", type=float, default=20.0, help="signal to noise, dB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="folder of PTB-XL")
    parser.add_argument("--exams", type=int, default=200, help="exams of PTB-XL a group")
    parser.add_argument("--pages", type=int, default=0, help="exams a group and layout to draw as pages")
    parser.add_argument("--compare", action="store_true", help="with NeuroKit2 and wfdb")
    options = parser.parse_args()
    methods: dict[str, Method] = {"ecglens": ours}
    if options.compare:
        methods |= {f"NeuroKit2 {name}": neurokit(name) for name in ("dwt", "peak")}
    for fs in options.fs if options.count else ():
        run_simulated(options, fs, methods)
    if options.pages and not options.data:
        parser.error("--pages draws exams of --data")
    if options.pages:
        run_pages(options)
    elif options.data:
        run_ptbxl(options)


if __name__ == "__main__":
    main()
