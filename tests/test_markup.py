"""XML of ECGs: hostile and damaged documents are refused at little cost; numbers read as written or not at all."""

import base64
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError, UnreadableError
from ecglens.io import aecg, markup, muse, philips
from hostile import peak

READERS = (aecg, muse, philips)
ROOTS = {"AnnotatedECG": aecg, "RestingECG": muse, "restingecgdata": philips}

N = 1 << 20
LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
# Documents that would exhaust memory or time where nothing stops them; the last is of nearly as many bytes as may be.
HOSTILE = {
    "laughs": lambda: f'<!DOCTYPE R [<!ENTITY a0 "lol">{LAUGHS}]><R>&a9;</R>',
    "quadratic": lambda: f'<!DOCTYPE R [<!ENTITY a "{"a" * 100_000}">]><R>{"&a;" * 100_000}</R>',
    "defaults": lambda: f'<!DOCTYPE R [<!ATTLIST a b CDATA "{"b" * 100_000}">]><R>{"<a/>" * 100_000}</R>',
    "nested": lambda: "<R>" + "<a>" * 100_000 + "</a>" * 100_000 + "</R>",
    "wide": lambda: "<R>" + "<a/>" * (N // 4) + "</R>",
    "attributes": lambda: "<R " + " ".join(f'a{i:x}=""' for i in range(N // 14)) + "/>",
    "namespaces": lambda: "<R " + " ".join(f'xmlns:a{i:x}="u"' for i in range(N // 20)) + "/>",
    "instructions": lambda: "<R>" + "<?a?>" * (N // 5) + "</R>",
    "lines": lambda: "<R>" + "a\n" * (8 * N - 100) + "</R>",
}


def test_hostile_documents_are_one_error_within_seconds_and_half_a_gigabyte(tmp_path: Path) -> None:
    files = [tmp_path / what for what in HOSTILE]
    for i, file in enumerate(files):
        root = list(ROOTS)[i % 3]
        file.write_text(HOSTILE[file.name]().replace("<R", "<" + root).replace("</R>", f"</{root}>"))
    assert 0 < markup.MAX_BYTES - files[-1].stat().st_size < 1000
    for file, cost in zip(files, peak(*files), strict=True):
        assert cost.outcome.startswith(f"{file.name} "), cost
        assert cost.seconds < 10, file.name
        assert cost.megabytes < 512, file.name


@pytest.mark.parametrize("name", ROOTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize(
    "before", ["", "<!-- <svg> -->\n", '<!DOCTYPE {0} SYSTEM "restecg.dtd">\n', "<?style a='<b>'?>", "\n"]
)
def test_a_document_is_recognised_by_its_root_element_alone(name: str, encoding: str, before: str) -> None:
    declaration = "" if before == "\n" else f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    accent = "é" if declaration else "e"
    document = f'{declaration}{before.format(name)}<{name} a="{accent}"><RestingECG/><restingecgdata/>'
    head = document.encode(encoding)
    assert [reader for reader in READERS if reader.recognise(head)] == [ROOTS[name]]
    spaced = document.replace(f"<{name}", f'<x:{name} xmlns:x="urn:hl7-org:v3"').encode(encoding)
    assert [reader for reader in READERS if reader.recognise(spaced)] == [ROOTS[name]]


@pytest.mark.parametrize(
    "head",
    [b"", b"<", b"RestingECG", b"<!-- <RestingECG> -->", b"<svg><RestingECG/>", b"<RestingECGdata/>", b"\xff\xfe<\0"],
)
def test_other_content_is_not_recognised(head: bytes) -> None:
    assert not any(reader.recognise(head) for reader in READERS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252"])
def test_every_encoding_reads_alike(encoding: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding != "utf-16-le" else ""
    root = markup.parse(f'{declaration}<a xmlns="u" xmlns:p="v"><b p:c="é">ü</b></a>'.encode(encoding), "a.xml")
    assert (root.tag, markup.text(root, "b"), dict(root[0].items())) == ("a", "ü", {"c": "é"})


def test_a_document_type_of_another_file_is_not_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dtd"
    secret.write_text('<!ENTITY secret "secret">')
    assert markup.parse(f'<!DOCTYPE a SYSTEM "{secret}"><a>b</a>'.encode(), "a.xml").text == "b"
    with pytest.raises(FileError):
        markup.parse(f'<!DOCTYPE a SYSTEM "{secret}"><a>&secret;</a>'.encode(), "a.xml")


@pytest.mark.parametrize(
    "subset",
    [
        '<!ENTITY b SYSTEM "file:///etc/passwd">',
        '<!ENTITY % b SYSTEM "file:///etc/passwd">%b;',
        '<!ENTITY b "c">',
        '<!ATTLIST a b CDATA "c">',
    ],
)
def test_definitions_within_a_file_are_refused(subset: str) -> None:
    with pytest.raises(FormatError, match="document type of its own"):
        markup.parse(f"<!DOCTYPE a [{subset}]><a>&b;</a>".encode(), "a.xml")


@pytest.mark.parametrize(
    "content",
    [
        *(b"<a>", b"<a></b>", b"<a/><b/>", b"<a>\xff</a>", b"<a>&b;</a>", b"a", b"\0" * 9),
        b'<?xml version="1.0" encoding="x-no"?><a/>',
        b'<?xml version="1.0" encoding="UTF-16"?><a/>',
        b'<?xml version="1.0" encoding="gb2312"?><a>\xb0\xa1</a>',
    ],
)
def test_what_is_no_document_is_damaged(content: bytes) -> None:
    with pytest.raises(FileError, match="damaged"):
        markup.parse(content, "a.xml")


@pytest.mark.parametrize(
    "value", ["", "nan", "inf", "-inf", "1e999", "1e13", "1_000", "٣", "0x10", "1 2", "1,5", "-", "."]
)
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(SignalError, match="gain"):
        markup.number(value, "gain", "a.xml")


@pytest.mark.parametrize(("value", "wanted"), [("500", 500), ("+.5", 0.5), ("-4.88", -4.88), ("2.5E-3", 0.0025)])
def test_numbers_read_as_written(value: str, wanted: float) -> None:
    assert markup.number(value, "gain", "a.xml") == wanted


def test_zero_and_negative_numbers_are_not_positive() -> None:
    for value in ("0", "-1", "-0", "1e-320"):
        with pytest.raises(SignalError, match="above 0"):
            markup.positive(value, "gain", "a.xml")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.sampled_from([" ", "\n", "\t \r\n"]))
def test_lists_of_whole_numbers_read_back_equal(numbers: list[int], blank: str) -> None:
    written = blank + blank.join(map(str, numbers)) + blank
    assert markup.decode_integers(written, "lead I", "a.xml").tolist() == numbers


@pytest.mark.parametrize(
    "value", ["", " ", "1.5", "1 - 2", "1-2", "1 nan", "1,2", "1e3", "--1", "9" * 400, "1\u00a02", "٣"]
)
def test_other_lists_are_refused(value: str) -> None:
    with pytest.raises(SignalError, match="samples of lead I"):
        markup.decode_integers(value, "lead I", "a.xml")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="+-0123456789 \n.e"))
def test_any_list_is_numbers_or_one_error(value: str) -> None:
    with suppress(UnreadableError):
        assert np.isfinite(markup.decode_integers(value, "lead I", "a.xml")).all()


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1))
def test_base64_reads_back_equal_over_broken_lines(content: bytes) -> None:
    assert markup.decode_base64(base64.encodebytes(content).decode(), "lead I", "a.xml") == content


@pytest.mark.parametrize("value", ["", " ", "A", "AAA", "AA==AA", "AA-_", "ÄÄÄÄ", "AAAA AAAA?", "\0\0\0\0"])
def test_what_is_not_base64_is_refused(value: str) -> None:
    with pytest.raises(FileError, match="lead I"):
        markup.decode_base64(value, "lead I", "a.xml")


def test_half_a_sample_is_refused() -> None:
    assert markup.decode_words(b"\x01\x00\xff\xff", "lead I", "a.xml").tolist() == [1, -1]
    with pytest.raises(FileError, match="within a sample"):
        markup.decode_words(b"\x01\x00\xff", "lead I", "a.xml")
