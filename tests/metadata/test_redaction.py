"""No secret of the capture car gets through, and nothing else is lost."""

from __future__ import annotations

import codecs
from xml.etree.ElementTree import canonicalize, fromstring
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.errors import ImageMetadataError
from anonymisation.metadata.redaction import REDACTED, redact_tag, redact_xml
from anonymisation.metadata.xml_tree import MAX_DEPTH

SECRET = "SECRET"


def redact(xml: str | bytes) -> str:
    return redact_xml(xml.encode() if isinstance(xml, str) else xml, source="a.jpg")


def body(xml: str) -> str:
    """The redacted form of what is put into a document, on one line."""
    text = redact(f"<r>{xml}</r>").removeprefix('<?xml version="1.0" ?>\n')
    return text.replace("\n", "").replace("\t", "").removeprefix("<r>").removesuffix("</r>")


@pytest.mark.parametrize(
    "xml",
    [
        "<Driver>SECRET</Driver>",
        "<Driver>\n  SECRET\n  SECRET\n</Driver>",
        '<Driver name="SECRET">x</Driver>',
        '<Driver name="SECRET"/>',
        "<Driver><![CDATA[SECRET</Driver>]]></Driver>",
        "<Driver><First>SECRET</First><Driver>SECRET</Driver>SECRET</Driver>",
        "<Driver><!-- SECRET --></Driver>",
        "<Driver><?pi SECRET?></Driver>",
        "<Driver><First/></Driver>",
        "<Driver>&#83;ECRET</Driver>",
        '<Driver xmlns="urn:SECRET">SECRET</Driver>',
        '<p:Driver xmlns:p="urn:SECRET">SECRET</p:Driver>',
        "<Driver>SECRET</Driver> SECRET",
        "<Driver>SECRET</Driver>SE<!-- x -->CRET<?pi SECRET?>",
    ],
)
def test_an_element_that_holds_anything_is_replaced(xml: str) -> None:
    assert body(xml) == "<Driver>FJERNET</Driver>"


@pytest.mark.parametrize("name", ["Driver", "CarID", "Comment", "driver", "CARID", "carId", "COMMENT"])
def test_every_name_in_any_case_and_depth(name: str) -> None:
    assert body(f"<a><b><{name}>SECRET</{name}></b></a>") == f"<a><b><{name}>FJERNET</{name}></b></a>"


def test_a_prefix_declared_above_is_kept() -> None:
    text = redact('<r xmlns:p="urn:x"><p:Driver>SECRET</p:Driver></r>')
    element = fromstring(text).find("{urn:x}Driver")
    assert element is not None
    assert element.text == REDACTED


@pytest.mark.parametrize(
    "xml",
    [
        "<Comment/>",
        "<Comment></Comment>",
        "<Comment> \n </Comment>",
        '<Comment a=" "/>',
        '<Comment xmlns:q="urn:SECRET"/>',
        '<Comment xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>',
    ],
)
def test_an_empty_element_stays_empty(xml: str) -> None:
    assert body(xml) == "<Comment/>"


@pytest.mark.parametrize(
    ("xml", "wanted"),
    [
        ('<a Driver="SECRET" b="1"/>', '<a Driver="FJERNET" b="1"/>'),
        ('<a carid="SECRET"/>', '<a carid="FJERNET"/>'),
        ('<a Comment=""/>', '<a Comment=""/>'),
        ('<a xmlns:p="urn:x" p:Driver="SECRET"/>', '<a xmlns:p="urn:x" p:Driver="FJERNET"/>'),
        ('<a xmlns:Driver="SECRET"/>', '<a xmlns:Driver="FJERNET"/>'),
        ("<a><![CDATA[<Driver>SECRET</Driver>]]></a>", "<a>FJERNET</a>"),
        ("<a>&lt;Driver&gt;SECRET</a>", "<a>FJERNET</a>"),
        ("<a>&amp;amp;lt;p:CarID SECRET</a>", "<a>FJERNET</a>"),
        ("<a>&lt;Dri<!-- x -->ver&gt;SECRET</a>", "<a>FJERNET</a>"),
        ('<a b="&lt;comment>SECRET"/>', '<a b="FJERNET"/>'),
        ("<!-- SECRET --><?pi SECRET?>", "<r/>"),
    ],
)
def test_side_doors(xml: str, wanted: str) -> None:
    assert body(xml) == wanted


def test_comments_around_the_root_are_dropped() -> None:
    assert redact("<!-- SECRET --><?pi SECRET?><r/><!-- SECRET -->") == '<?xml version="1.0" ?>\n<r/>\n'


@pytest.mark.parametrize(
    "xml",
    [
        "<Drivers>x</Drivers>",
        "<VCArea>Damåsen &amp; &quot;Ål&quot; &lt;3 Driver</VCArea>",
        "<VCArea> x </VCArea>",
        '<Tilt unit="&quot;°&quot;">-0.03</Tilt>',
        "<a><X>1</X><Y/></a>",
    ],
)
def test_everything_else_stays(xml: str) -> None:
    assert body(xml) == xml


def test_cdata_and_white_space_mean_the_same_afterwards() -> None:
    xml = '<r a="1&#10;&#9;2"><b>\n <c><![CDATA[1 < 2]]></c>\n</b><d>x&#13;y</d></r>'
    assert canonicalize(redact(xml), strip_text=True) == canonicalize(xml, strip_text=True)


def test_redacting_twice_changes_nothing() -> None:
    once = redact('<r xmlns:p="urn:x" Date="1"><a>x<b/>y</a><p:Driver b="1">Ola</p:Driver><Comment/></r>')
    assert redact(once) == once


@pytest.mark.parametrize(
    "xml",
    [
        codecs.BOM_UTF8 + "<r>å</r>".encode(),
        codecs.BOM_UTF8 + '<?xml version="1.0" encoding="utf-16"?><r>å</r>'.encode(),
        '<?xml version="1.0" encoding="iso-8859-1"?><r>å</r>'.encode(),
        '<?xml version="1.0" encoding="iso-8859-1"?><r>å</r>'.encode("latin-1"),
        "<?xml version='1.0' encoding='Windows-1252' standalone='yes'?><r>å</r>".encode("cp1252"),
        codecs.BOM_UTF16_LE + "<r>å</r>".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + '<?xml version="1.0" encoding="utf-8"?><r>å</r>'.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "<r>å</r>".encode("utf-32-le"),
        "<r>å</r>".encode("utf-16-le"),
        "<r>å</r>".encode("utf-16-be"),
        codecs.BOM_UTF16_LE + "<r>å</r>".encode("utf-16-le") + b"\x00\x00\x00",
        "<r>å</r>".encode() + b"\x00\x00\x00",
        " \n<r>å</r>\n \x00".encode(),
    ],
)
def test_encodings(xml: bytes) -> None:
    assert redact(xml) == '<?xml version="1.0" ?>\n<r>å</r>\n'


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"\x00\x00",
        b"no xml",
        b"<r>",
        b"<r/><r/>",
        b"<r/>\x00x",
        b"<r>\xe5</r>",
        b"<p:r/>",
        b'<r xmlns="a b"/>',
        codecs.BOM_UTF16_LE + b"<\x00r",
        b'<?xml version="1.0" encoding="utf-7"?><r>+ADw-Driver+AD4-</r>',
        b'<?xml version="1.0" encoding="nonsense"?><r/>',
        b"<!DOCTYPE r><r/>",
        b'<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>',
        b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>',
        b'<!DOCTYPE r [<!ENTITY % a SYSTEM "http://localhost/"> %a;]><r/>',
        b'<!DOCTYPE r SYSTEM "http://localhost/x.dtd"><r/>',
        b"<r>&a;</r>",
        b"<r>" * (MAX_DEPTH + 1) + b"</r>" * (MAX_DEPTH + 1),
        b"<r>" * 9_000 + b"</r>" * 9_000,
    ],
)
def test_what_cannot_be_made_safe_is_refused_by_name(xml: bytes) -> None:
    with pytest.raises(ImageMetadataError, match=r"^a\.jpg: "):
        redact(xml)


@pytest.mark.parametrize("xml", [None, b"", b"\x00\x00", b" \r\n\x00"])
def test_a_tag_of_padding_alone_is_no_tag(xml: bytes | None) -> None:
    assert redact_tag(xml, source="a.jpg") is None


def test_a_tag_is_redacted_like_any_xml() -> None:
    xml = b"<r><Driver>SECRET</Driver></r>"
    assert redact_tag(xml, source="a.jpg") == redact_xml(xml, source="a.jpg")


def test_as_deep_as_allowed() -> None:
    depth = MAX_DEPTH - 1
    assert SECRET not in redact("<r>" * depth + "<Driver>SECRET</Driver>" + "</r>" * depth)


def test_messages_quote_no_secret() -> None:
    entity = b'<!DOCTYPE r [<!ENTITY SECRET "SECRET">]><r>&SECRET;</r>'
    for xml in (b"<r><Driver>SECRET</r>", entity, b'<r xmlns:SECRET="SECRET SECRET"/>', b"<SECRET:Driver/>"):
        with pytest.raises(ImageMetadataError) as raised:
            redact(xml)
        assert SECRET not in str(raised.value)


NAMES = st.sampled_from(("Driver", "CarID", "Comment", "driver", "COMMENT"))
OTHERS = st.sampled_from(("a", "Surroundings", "p:b", "Drivers"))
SECRETS = st.sampled_from(
    (
        SECRET,
        f"\n{SECRET}\n",
        f"<![CDATA[{SECRET}]]>",
        f"<x>{SECRET}</x>",
        f"<!--{SECRET}-->",
        f"<?x {SECRET}?>",
        f'<x y="{SECRET}"/>',
        f"<x/>{SECRET}",
        f"{SECRET}<!-- -->{SECRET}",
    )
)


def sensitive(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An element or attribute that may hold a secret, around `inside`; or such an element as escaped markup."""
    element = st.builds(
        lambda name, value, nested: f'<{name} who="{SECRET}">{value}{nested}</{name}>', NAMES, SECRETS, inside
    )
    attribute = st.builds(lambda name, nested: f'<a {name}="{SECRET}">{nested}</a>', NAMES, inside)
    escaped = element.map(lambda xml: f"<Note>{escape(xml)}</Note>")
    return element | attribute | escaped


DOCUMENTS = st.recursive(
    st.sampled_from(("", "text", "<Comment/>", "æ &amp; ø")),
    lambda inside: (
        sensitive(inside)
        | st.builds(lambda name, nested: f"<{name} b='1'>{nested}</{name}>", OTHERS, inside)
        | st.lists(inside, min_size=2, max_size=3).map("".join)
    ),
    max_leaves=12,
)


@given(DOCUMENTS, st.sampled_from(("utf-8", "utf-8-sig", "utf-16")), st.integers(0, 3))
def test_no_planted_secret_gets_through(xml: str, encoding: str, padding: int) -> None:
    document = f'<r xmlns:p="urn:x">{xml}</r>'.encode(encoding) + b"\x00" * padding
    text = redact(document)
    assert SECRET not in text
    fromstring(text)  # still well-formed
    assert redact(text) == text


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_redacted_or_refused(data: bytes) -> None:
    try:
        text = redact(data)
    except ImageMetadataError:
        return
    fromstring(text)
