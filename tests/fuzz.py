"""Feed every reader with what coverage finds: a Record, a Page or one UnreadableError are right, all else is a fault.

    pip install atheris
    python tests/fuzz.py --seeds CORPUS                                             write a small file of every format
    python tests/fuzz.py CORPUS -max_total_time=600 -timeout=10 -rss_limit_mb=1024  hunt; ends with code 0 if clean

A WFDB record is two files: an input that begins with ``WFDB`` holds the header, a zero byte, and the signal file.
"""

import sys
import tempfile
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

MOST_PAGES = 3  # read of each input


def seeds() -> dict[str, bytes]:
    """A small valid file of every format, as the readers' tests write them."""
    from test_aecg import export as aecg
    from test_aecg import series
    from test_dicom import group
    from test_dicom import waveform as dicom
    from test_edf import millivolts
    from test_edf import write as edf
    from test_muse import export as muse
    from test_muse import waveform as muse_waveform
    from test_philips import export as philips
    from test_philips import waveform as philips_waveform
    from test_scp import assemble, contents, steps
    from test_text import TABLE

    return {
        **_pictures(),
        **_arrays(),
        "dicom": dicom(group()),
        "aecg": aecg(series()),
        "muse": muse(muse_waveform()),
        "philips": philips(philips_waveform()),
        "edf": edf(millivolts(100), fs=100),
        "bdf": edf(millivolts(100), fs=100, kind="BDF"),
        "scp": assemble(contents(steps())),
        "csv": TABLE.encode(),
        "wfdb": _pair(),
    }


def _pictures() -> dict[str, bytes]:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    image = Image.fromarray((np.indices((24, 32)).sum(axis=0) * 4).astype(np.uint8)).convert("RGB")
    found = {}
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PDF", "HEIF", "AVIF", "JPEG2000"):
        buffer = BytesIO()
        image.save(buffer, kind)
        found[kind.lower()] = buffer.getvalue()
    return found


def _arrays() -> dict[str, bytes]:
    import h5py

    signal = np.sin(np.arange(12 * 60)).reshape(12, 60).astype(np.float32)
    npy, npz, hdf5 = BytesIO(), BytesIO(), BytesIO()
    np.save(npy, signal)
    np.savez(npz, signal=signal, fs=100, unit="mV")
    limb_leads = np.array([1, 2, 1, -1.5, 0, 1.5, 1, 1, 1, 1, 1, 1], np.float32)  # as Einthoven's triangle wants them
    tracings = np.zeros((1, 4096, 12), np.float32)
    tracings[0, 100:820] = np.outer(signal.ravel(), limb_leads)
    with h5py.File(hdf5, "w") as file:
        file.create_dataset("tracings", data=tracings, compression="gzip")
    return {"npy": npy.getvalue(), "npz": npz.getvalue(), "hdf5": hdf5.getvalue()}


def _pair() -> bytes:
    from ecglens.io import wfdb
    from ecglens.record import Record

    with tempfile.TemporaryDirectory() as folder:
        header = wfdb.write(Record(np.zeros((12, 50), np.float32), 100.0), Path(folder) / "a")
        return b"WFDB" + header.read_bytes() + b"\0" + header.with_suffix(".dat").read_bytes()


def read_all(content: bytes) -> None:
    """Read what ``content`` is; raises whatever is not an UnreadableError."""
    from ecglens import io
    from ecglens.errors import UnreadableError

    try:
        if content.startswith(b"WFDB"):
            _read_pair(*content[4:].partition(b"\0")[::2])
            return
        opened = io.open_file(content, io.Given(100, "mV"))
        for number in range(1, min(opened.count, MOST_PAGES) + 1):
            opened.read(number)
    except UnreadableError as error:
        if "\n" in str(error):
            raise ValueError("an error must be one line") from error


def _read_pair(header: bytes, signal: bytes) -> None:
    from ecglens import io

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.hea").write_bytes(header)
        (Path(folder) / "a.dat").write_bytes(signal)
        io.read(Path(folder) / "a.hea")


def main() -> None:
    if sys.argv[1:2] == ["--seeds"]:
        folder = Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in seeds().items():
            (folder / name).write_bytes(content)
        return
    import atheris

    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["ecglens", "pydicom"]):
        from ecglens import io  # noqa: F401 - instrumented here
    atheris.Setup(sys.argv, read_all)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
