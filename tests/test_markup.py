import base64
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecglens.errors import FileError, FormatError, SignalError, UnreadableError
from ecglens.io import aecg, markup, muse, philips

READERS = (aecg, muse, philips)
ROOTS = {"AnnotatedECG": aecg, "RestingECG": muse, "restingecgdata": philips}

# Documents that would exhaust memory or time where nothing stops them, each of a quarter of the bytes allowed.
HOSTILE = """
import resource, time
from ecglens.errors import UnreadableError
from ecglens.io import aecg, muse, philips
N = 4 << 20
LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
DOCUMENTS = {
    "laughs": f'<!DOCTYPE R [<!ENTITY a0 "lol">{LAUGHS}]><R>&a9;</R>',
    "quadratic": f'<!DOCTYPE R [<!ENTITY a "{"a" * 100_000}">]><R>{"&a;" * 100_000}</R>',
    "defaults": f'<!DOCTYPE R [<!ATTLIST a b CDATA "{"b" * 100_000}">]><R>{"<a/>" * 100_000}</R>',
    "nested": "<R>" + "<a>" * 1_000_000 + "</a>" * 1_000_000 + "</R>",
    "wide": "<R>" + "<a/>" * (N // 4 - 10) + "</R>",
    "attributes": "<R " + " ".join(f'a{i:x}=""' for i in range(N // 14)) + "/>",
    "namespaces": "<R " + " ".join(f'xmlns:a{i:x}="u"' for i in range(N // 20)) + "/>",
    "lines": "<R>" + "a\\n" * (N // 2 - 10) + "</R>",
    "instructions": "<R>" + "<?a?>" * (N // 5 - 10) + "</R>",
    "long": "<R>" + "a" * (4 * N) + "</R>",
}
roots = {"AnnotatedECG": aecg, "RestingECG": muse, "restingecgdata": philips}
for i, (what, document) in enumerate(DOCUMENTS.items()):
    root, reader = list(roots.items())[i % 3]
    content = document.replace("<R", "<" + root).replace("</R>", f"</{root}>").encode()
    began = time.process_time()
    try:
        reader.open_file(content, "a.xml")
    except UnreadableError as error:
        print(what, time.process_time() - began, type(error).__name__)
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_hostile_documents_are_one_error_within_seconds_and_a_gigabyte():
    assert markup.MAX_BYTES == 16 << 20
    done = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=True)
    *lines, (_, peak) = [line.split() for line in done.stdout.splitlines()]
    assert {what for what, *_ in lines} == {
        *("laughs", "quadratic", "defaults", "nested", "wide"),
        *("attributes", "namespaces", "lines", "instructions", "long"),
    }
    assert max(float(seconds) for _, seconds, _ in lines) < 2.5
    assert float(peak) < 512


@pytest.mark.parametrize("name", ROOTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize(
    "before", ["", "<!-- <svg> -->\n", '<!DOCTYPE {0} SYSTEM "restecg.dtd">\n', "<?style a='<b>'?>", "\n"]
)
def test_a_document_is_recognised_by_its_root_element_alone(name, encoding, before):
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
def test_other_content_is_not_recognised(head):
    assert not any(reader.recognise(head) for reader in READERS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252"])
def test_every_encoding_reads_alike(encoding):
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>' if encoding != "utf-16-le" else ""
    root = markup.parse(f'{declaration}<a xmlns="u" xmlns:p="v"><b p:c="é">ü</b></a>'.encode(encoding), "a.xml")
    assert (root.tag, markup.text(root, "b"), dict(root[0].items())) == ("a", "ü", {"c": "é"})


def test_a_document_type_of_another_file_is_not_fetched(tmp_path):
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
def test_definitions_within_a_file_are_refused(subset):
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
def test_what_is_no_document_is_damaged(content):
    with pytest.raises(FileError, match="damaged"):
        markup.parse(content, "a.xml")


@pytest.mark.parametrize(
    "value", ["", "nan", "inf", "-inf", "1e999", "1e13", "1_000", "٣", "0x10", "1 2", "1,5", "-", "."]
)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(SignalError, match="gain"):
        markup.number(value, "gain", "a.xml")


@pytest.mark.parametrize(("value", "wanted"), [("500", 500), ("+.5", 0.5), ("-4.88", -4.88), ("2.5E-3", 0.0025)])
def test_numbers_read_as_written(value, wanted):
    assert markup.number(value, "gain", "a.xml") == wanted


def test_zero_and_negative_numbers_are_not_positive():
    for value in ("0", "-1", "-0", "1e-320"):
        with pytest.raises(SignalError, match="above 0"):
            markup.positive(value, "gain", "a.xml")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.sampled_from([" ", "\n", "\t \r\n"]))
def test_lists_of_whole_numbers_read_back_equal(numbers, blank):
    written = blank + blank.join(map(str, numbers)) + blank
    assert markup.decode_integers(written, "lead I", "a.xml").tolist() == numbers


@pytest.mark.parametrize(
    "value", ["", " ", "1.5", "1 - 2", "1-2", "1 nan", "1,2", "1e3", "--1", "9" * 400, "1\u00a02", "٣"]
)
def test_other_lists_are_refused(value):
    with pytest.raises(SignalError, match="samples of lead I"):
        markup.decode_integers(value, "lead I", "a.xml")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="+-0123456789 \n.e"))
def test_any_list_is_numbers_or_one_error(value):
    with suppress(UnreadableError):
        assert np.isfinite(markup.decode_integers(value, "lead I", "a.xml")).all()


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1))
def test_base64_reads_back_equal_over_broken_lines(content):
    assert markup.decode_base64(base64.encodebytes(content).decode(), "lead I", "a.xml") == content


@pytest.mark.parametrize("value", ["", " ", "A", "AAA", "AA==AA", "AA-_", "ÄÄÄÄ", "AAAA AAAA?", "\0\0\0\0"])
def test_what_is_not_base64_is_refused(value):
    with pytest.raises(FileError, match="lead I"):
        markup.decode_base64(value, "lead I", "a.xml")


def test_a_missing_unit_is_told_from_a_wrong_one():
    assert markup.millivolts("uV", "I", "a.xml") == 0.001
    with pytest.raises(SignalError, match="no unit of lead I"):
        markup.millivolts("", "I", "a.xml")
    with pytest.raises(SignalError, match="'mmHg'"):
        markup.millivolts("mmHg", "I", "a.xml")


def test_half_a_sample_is_refused():
    assert markup.decode_words(b"\x01\x00\xff\xff", "lead I", "a.xml").tolist() == [1, -1]
    with pytest.raises(FileError, match="within a sample"):
        markup.decode_words(b"\x01\x00\xff", "lead I", "a.xml")


def test_leads_beside_the_twelve_are_passed_over_and_unknown_ones_are_not():
    assert markup.choose_leads(["V3R", "I", "V7", "II", "X"], "a.xml") == {"I": 1, "II": 3}
    with pytest.raises(SignalError, match="CM5"):
        markup.choose_leads(["CM5", "I", "V7"], "a.xml")
    with pytest.raises(SignalError, match="twice"):
        markup.choose_leads(["I", "V7", "I"], "a.xml")
