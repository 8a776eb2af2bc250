"""Messages for Slack: how they read, what is left out first, and that nothing in them is more than text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.alerts.layout import Layout, Rank, Section, SectionForm
from remediator.core.alerts.notification import Severity
from remediator.core.alerts.slack_markup import bold, clipped, code, length, literal, prose
from remediator.core.alerts.slack_message import slack_message
from tests.unit.alerts.samples import ALERTS

LAYOUT = Layout(
    subject="ACTION REQUIRED: head-node cannot use s3://acme-data (production)",
    headline="The role cannot use the bucket, and a new Allow cannot change that.",
    severity=Severity.ERROR,
    facts=(("Role", "arn:aws:iam::111122223333:role/head-node"), ("Cloud", "production"), ("Incident", "0123456789ab")),
    sections=(
        Section("What is wrong", ("The role cannot use the bucket.", "  statement `Freeze` denies it")),
        Section("Next steps", ("Change the policy named above.",)),
        Section("Caused by", ("PutBucketPolicy by user/alice",), rank=Rank.DETAIL),
        Section("Proposed change: trust policy", ("--- before", "+++ after"), SectionForm.DIFF, Rank.DETAIL),
        Section(
            "To turn remediation off", ("aws iam tag-role --tags Key=a,Value=off",), SectionForm.COMMANDS, Rank.HANDY
        ),
        Section("To make it permanent in Terraform", ('resource "x" "y" {', "}"), SectionForm.CODE, Rank.LASTING),
        Section("To make it permanent in CloudFormation", ("X:", "  Type: Y"), SectionForm.CODE, Rank.SPARE),
    ),
    thread="0123456789ab",
    keywords=("needs-person", "error"),
    record="remediator history head-node",
)

HOSTILE = (
    *("<!channel>", "<!here|here>", "<@U012AB3CD>", "<#C012AB3CD>", "<https://evil.example|AWS>", "@here", "@Channel"),
    *("*bold*", "_slanted_", "~struck~", "`code`", "```block```", "> quote", ">>> quotes", ":rotating_light:"),
    *("arn:aws:iam::111122223333:role/a", "s3:*", "head_node", "a & b", "\u202e", "\ud800", "😀", "\n", "x" * 700, " "),
)

texts = st.lists(
    st.sampled_from(HOSTILE) | st.text(st.sampled_from("ab1 _*~`<>&@:'\n-.|!"), max_size=12), max_size=6
).map("".join)
sections = st.builds(
    Section,
    title=texts,
    lines=st.lists(texts, max_size=8).map(tuple)
    | st.tuples(texts, st.integers(0, 400)).map(lambda each: (each[0],) * each[1]),
    form=st.sampled_from(SectionForm),
    rank=st.sampled_from(Rank),
    note=texts,
)
layouts = st.builds(
    Layout,
    subject=texts,
    headline=texts,
    severity=st.sampled_from(Severity),
    facts=st.lists(st.tuples(texts, texts), max_size=14).map(tuple),
    sections=st.lists(sections, max_size=12).map(tuple),
    thread=st.none() | texts,
    keywords=st.lists(texts, max_size=14).map(tuple),
    record=texts,
)


def blocks_of(layout: Layout) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = json.loads(slack_message(layout)[0])["blocks"]
    return blocks


def text_objects(block: dict[str, Any]) -> list[dict[str, Any]]:
    return [*([block["text"]] if "text" in block else []), *block.get("fields", ()), *block.get("elements", ())]


def shown(layout: Layout) -> str:
    """All that the blocks say."""
    return "\n".join(each["text"] for block in blocks_of(layout) for each in text_objects(block))


def assert_is_only_text(markup: str) -> None:
    """What Slack would make of the markup is nothing but text, code, and the titles that are ours."""
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", markup)
    assert not re.search(r"(?<![\w.+-])@(?:here|channel|everyone)\b", markup, re.IGNORECASE)
    fences = re.findall("`{3,}", markup)
    assert set(fences) <= {"```"}
    assert len(fences) % 2 == 0
    outside = "".join(markup.split("```")[::2])
    for line in outside.split("\n"):
        assert line.count("`") % 2 == 0
        rest = re.sub(r"`[^`]+`", "", line)
        rest = re.sub(r"^\*([^*]+)\*(?= ?$)|(?<=^Severity )\*(\w+)\*", r"\1\2", rest)
        assert "`" not in rest
        assert rest.count("*") <= 1
        assert rest.count("~") <= 1
        assert not re.search(r"(?<![^\W_])_|_(?![^\W_])", rest)
        # Code stands between two texts: what is on both sides of it is no emoji.
        assert not re.search(r":(?!\d\d:)[\w+'-]+:", re.sub(r"`[^`]+`", " ", line))
        assert not re.match(r"\s*&gt;", line)


def test_the_sign_and_the_subject_come_first_and_the_record_last() -> None:
    first, headline, facts, wrong, *_, last = blocks_of(LAYOUT)
    assert first["text"] == {"type": "plain_text", "text": f"🚨 {LAYOUT.subject}", "emoji": False}
    assert headline["text"]["text"] == LAYOUT.headline
    assert [field["text"] for field in facts["fields"]] == [
        "*Role* `arn:aws:iam::111122223333:role/head-node`",
        "*Cloud* `production`",
    ]
    assert wrong["text"]["text"] == (
        "*What is wrong*\n• The role cannot use the bucket.\n    ◦ statement 'Freeze' denies it"
    )
    assert [element["text"] for element in last["elements"]] == [
        "Severity *error*",
        "Incident `0123456789ab`",
        "Everything: `remediator history head-node`",
    ]


def test_links_lead_to_the_console() -> None:
    layout = replace(
        LAYOUT, links=(("Role in the console", "https://console.aws.amazon.com/iam/home#/roles/details/r"),)
    )
    assert "<https://console.aws.amazon.com/iam/home#/roles/details/r|Role in the console>" in shown(layout)


def test_a_message_that_requires_no_action_has_no_diff_no_code_and_no_explanations() -> None:
    layout = replace(LAYOUT, severity=Severity.INFO)
    assert titles(layout) == ["What is wrong", "Next steps", "Caused by"]
    assert "Freeze" not in shown(layout)
    assert LAYOUT.record in shown(layout)


def test_what_is_needed_is_separated_from_what_is_only_handy() -> None:
    kinds = [block["type"] for block in blocks_of(LAYOUT)]
    assert kinds == ["header", *["section"] * 6, "divider", *["section"] * 3, "context"]


def test_diffs_commands_and_code_are_printed_as_they_are() -> None:
    section = Section("To do", ("x = a < b && c[*] _y_ `z`",), SectionForm.COMMANDS)
    assert "```\nx = a &lt; b &amp;&amp; c[*] _y_ `z`\n```" in shown(replace(LAYOUT, sections=(section,)))


@pytest.mark.parametrize("form", [SectionForm.DIFF, SectionForm.CODE, SectionForm.COMMANDS])
def test_nothing_gets_out_of_a_block_of_code(form: SectionForm) -> None:
    section = Section("Code", ("x ```", "````", "*free* @here"), form)
    text = shown(replace(LAYOUT, facts=(), sections=(section,)))
    _, inside, outside = text.split("```")
    assert inside == "\nx '''\n''''\n*free* @ here\n"
    assert "free" not in outside


def test_an_emoji_counts_as_two_characters_because_slack_counts_so() -> None:
    assert length("a😀é") == 4


def test_a_notification_says_whom_it_is_about_and_what_to_do() -> None:
    payload = json.loads(slack_message(LAYOUT)[0])
    assert payload["text"] == f"🚨 {LAYOUT.subject}\n{LAYOUT.headline}"
    assert (payload["unfurl_links"], payload["unfurl_media"]) == (False, False)


def test_the_plain_form_says_the_same_without_blocks() -> None:
    payload = json.loads(slack_message(LAYOUT)[1])
    assert set(payload) == {"text", "unfurl_links", "unfurl_media"}
    for part in (LAYOUT.subject, LAYOUT.headline, "*Cloud* `production`", "'Freeze'", LAYOUT.record, "+++ after"):
        assert part in payload["text"]


def test_each_severity_has_a_sign_of_its_own() -> None:
    signs = {blocks_of(replace(LAYOUT, severity=severity))[0]["text"]["text"].split()[0] for severity in Severity}
    assert len(signs) == len(Severity)


def long(section: Section, lines: int = 200, line: str = "x" * 80) -> Section:
    return replace(section, lines=(line,) * lines)


def titles(layout: Layout) -> list[str]:
    """The titles of the sections that are shown."""
    return [section.title for section in layout.sections if f"*{section.title}*" in shown(layout)]


@pytest.mark.parametrize("number", range(2, 7))
def test_where_not_all_fits_the_highest_rank_goes_first_as_a_whole(number: int) -> None:
    sections = tuple(
        long(section, 130) if place == number else section for place, section in enumerate(LAYOUT.sections)
    )
    layout = replace(LAYOUT, sections=sections)
    rank = sections[number].rank
    kept = titles(layout)
    assert [each.title for each in sections if each.rank < rank] == [
        title for title in kept if title in {each.title for each in sections if each.rank < rank}
    ]


def test_of_a_diff_that_is_too_long_the_beginning_is_shown_and_the_lasting_sections_are_left_out() -> None:
    sections = tuple(long(each) if each.form is SectionForm.DIFF else each for each in LAYOUT.sections)
    layout = replace(LAYOUT, sections=sections)
    assert titles(layout) == [section.title for section in sections[:4]]
    text = shown(layout)
    kept = text.count("x" * 80)
    assert kept > 80
    assert f"```\n… {200 - kept} lines left out" in text
    assert (
        "Left out here: To turn remediation off; To make it permanent in Terraform; To make it permanent in "
        "CloudFormation. Everything: `remediator history head-node`" in text
    )


def test_code_is_never_cut_because_half_of_it_would_do_something_else() -> None:
    sections = tuple(long(each) if each.rank is Rank.LASTING else each for each in LAYOUT.sections)
    layout = replace(LAYOUT, sections=sections)
    assert "x" * 80 not in shown(layout)
    assert titles(layout) == [section.title for section in sections[:5]]


@pytest.mark.parametrize("form", [SectionForm.COMMANDS, SectionForm.CODE])
def test_commands_and_code_with_a_line_that_no_block_can_hold_are_left_out_as_a_whole(form: SectionForm) -> None:
    *others, last = LAYOUT.sections
    section = replace(last, lines=("Short:", "x" * 2801, "Short too."), form=form)
    layout = replace(LAYOUT, sections=(*others, section))
    assert titles(layout) == [each.title for each in others]
    assert f"Left out here: {last.title}. Everything: `{LAYOUT.record}`" in shown(layout)
    assert "Short" not in shown(layout)
    fitting = replace(section, lines=("x" * 2800,))
    assert "x" * 2800 in shown(replace(LAYOUT, sections=(*others, fitting)))


def test_what_is_wrong_and_what_to_do_share_the_room_when_both_are_too_long() -> None:
    wrong, to_do, *others = LAYOUT.sections
    layout = replace(LAYOUT, sections=(long(wrong, 300, "w" * 80), long(to_do, 300, "d" * 80), *others))
    text = shown(layout)
    assert abs(text.count("w" * 80) - text.count("d" * 80)) <= 2
    assert text.count("w" * 80) > 40
    assert titles(layout) == [wrong.title, to_do.title]


def test_a_long_section_becomes_several_blocks_and_code_is_opened_in_each() -> None:
    layout = replace(LAYOUT, sections=(long(LAYOUT.sections[3], 60),))
    texts = (block["text"]["text"] for block in blocks_of(layout) if block["type"] == "section" and "text" in block)
    chunks = [text for text in texts if text != LAYOUT.headline]
    assert len(chunks) == 2
    assert all(chunk.count("```") == 2 for chunk in chunks)
    assert sum(chunk.count("x" * 80) for chunk in chunks) == 60
    assert "Left out" not in shown(layout)


def test_a_subject_that_is_too_long_for_a_header_is_cut_and_the_headline_is_whole() -> None:
    header, whole, *_ = blocks_of(replace(LAYOUT, subject="a" * 249, headline="a" * 149 + "b" * 100))
    assert header["text"]["text"].endswith("a…")
    assert whole["text"]["text"] == "a" * 149 + "b" * 100


def test_facts_beyond_ten_are_counted() -> None:
    layout = replace(LAYOUT, facts=tuple((f"Name {number}", "value") for number in range(13)))
    assert "Left out here: 3 more facts. Everything:" in shown(layout)


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("<!channel> & <@U1>", "&lt;!channel&gt; &amp; &lt;@U1&gt;"),
        ("ask @here or me@here.com", "ask @ here or me@here.com"),
        ("*a* and *b*", "\u2217a\u2217 and \u2217b\u2217"),
        ("s3:* of head_node", "s3:* of head_node"),
        ("_a_ and b_", "\u02cda\u02cd and b\u02cd"),
        ("`a` and ```b```", "'a' and '''b'''"),
        (" > a", " \u203a a"),
        (":rotating_light: at 10:00:17", "\u2236rotating_light: at 10:00:17"),
        ("by arn:aws:iam::1:role/_a_*, so", "by `arn:aws:iam::1:role/_a_*`, so"),
        ("a\u202eb\nc", "a b c"),
    ],
)
def test_foreign_text_is_nothing_but_text(text: str, harmless: str) -> None:
    assert prose(text) == harmless


@pytest.mark.parametrize(("text", "title"), [("a *b* ~c~", "*a \u2217b\u2217 \u223cc\u223c*"), (" ", "*-*")])
def test_a_title_is_bold_as_a_whole_and_never_empty(text: str, title: str) -> None:
    assert bold(text) == title


@pytest.mark.parametrize("form", [prose, bold, code, literal])
@pytest.mark.parametrize("text", ["&" * 500, "😀" * 300, "*`<>" * 100, "short"])
def test_a_text_is_cut_after_it_was_made_harmless(text: str, form: Any) -> None:
    cut = clipped(text, 200, form)
    assert length(cut) <= 200
    assert cut == form(text) or (length(cut) > 180 and "…" in cut)
    assert not re.search(r"&(?!amp;|lt;|gt;)", cut)


@given(layouts)
def test_every_layout_keeps_the_limits_of_slack(layout: Layout) -> None:
    blocks, plain = slack_message(layout)
    payload = json.loads(blocks)
    blocks = payload["blocks"]
    assert len(blocks) <= 50
    assert length(json.dumps(blocks, ensure_ascii=False)) <= 12_000
    assert 0 < length(payload["text"]) <= 3000
    assert 0 < length(json.loads(plain)["text"]) <= 13_000
    for block in blocks:
        limit = {"header": 150, "section": 2000 if "fields" in block else 3000, "context": 3000}
        assert len(block.get("fields", ())) <= 10
        assert len(block.get("elements", ())) <= 10
        assert block["type"] == "divider" or text_objects(block)
        for each in text_objects(block):
            assert 0 < length(each["text"]) <= limit[block["type"]]


@given(layouts)
def test_nothing_in_a_message_is_more_than_text(layout: Layout) -> None:
    blocks, plain = slack_message(layout)
    payload = json.loads(blocks)
    assert_is_only_text(payload["text"])
    assert_is_only_text(json.loads(plain)["text"])
    for block in payload["blocks"]:
        for each in text_objects(block):
            if each["type"] == "mrkdwn":
                assert each["verbatim"] is True
                assert_is_only_text(each["text"])
            else:
                assert each["emoji"] is False
                assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", each["text"])
                assert not re.search(r"(?<![\w.+-])@(?:here|channel|everyone)\b", each["text"], re.IGNORECASE)


@given(layouts)
def test_a_section_is_shown_only_if_all_of_lower_rank_are_whole_and_the_rest_is_said_to_be_left_out(
    layout: Layout,
) -> None:
    numbered = replace(
        layout,
        severity=Severity.ERROR,
        sections=tuple(replace(each, title=f"title{number}end") for number, each in enumerate(layout.sections)),
    )
    text = shown(numbered)
    kept = {number for number in range(len(numbered.sections)) if f"*title{number}end*" in text}
    left_out = set(range(len(numbered.sections))) - kept
    if left_out:
        assert "Left out here: title" in text
        lowest = min(numbered.sections[number].rank for number in left_out)
        assert all(numbered.sections[number].rank <= lowest for number in kept)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_shows_what_is_wrong_and_what_to_do(name: str) -> None:
    layout = ALERTS[name].layout
    text = shown(layout)
    assert literal(layout.subject) in text
    for section in layout.sections:
        if section.rank is Rank.NEEDED:
            assert bold(section.title) in text
