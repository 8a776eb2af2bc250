"""Wildcards, and how much of a family of texts they match."""

from __future__ import annotations

import time

import pytest

from remediator.core.policy.extent import ALWAYS, NEVER, SOMETIMES, Extent
from remediator.core.policy.matching import Resource, glob, glob_extent, matches, text_extent, text_matches

OBJECTS = Resource("arn:aws:s3:::data/", family=True)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("*", "anything/at:all", True),
        ("a*c", "abc", True),
        ("a*c", "ac", True),
        ("a*c", "acb", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("?", "", False),
        ("abc", "ABC", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("*a*b*", "xaxbx", True),
        ("*ab*ab", "abab", True),
        ("*ab*ab", "ab", False),
        ("a**", "a", True),
        ("*\n*", "one\ntwo", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_star_is_any_text_and_a_question_mark_one_character(pattern: str, text: str, expected: bool) -> None:
    assert text_matches(pattern, text) is expected
    assert matches(glob(pattern), text) is expected


def test_a_wildcard_that_came_from_a_value_is_plain() -> None:
    assert matches(tuple("a*"), "a*")
    assert not matches(tuple("a*"), "ab")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ALWAYS),
        ("arn:aws:s3:::data/*", ALWAYS),
        ("arn:aws:s3:::data*", ALWAYS),
        ("arn:aws:s3:::*/*", ALWAYS),
        ("arn:*:s3:::data/*", ALWAYS),
        ("arn:aws:s3:*:*:data/*", ALWAYS),
        ("arn:aws:s3:::data/?*", ALWAYS),
        ("arn:aws:s3:::data/**", ALWAYS),
        ("arn:aws:s3:::dat?/*", ALWAYS),
        ("arn:aws:s3:::data/??*", SOMETIMES),
        ("arn:aws:s3:::data/?", SOMETIMES),
        ("arn:aws:s3:::data/team/*", SOMETIMES),
        ("arn:aws:s3:::data/key", SOMETIMES),
        ("arn:aws:s3:::data/*.txt", SOMETIMES),
        ("*a", SOMETIMES),
        ("arn:aws:s3:::data/*/*", SOMETIMES),
        ("arn:aws:s3:::data/", NEVER),
        ("arn:aws:s3:::data", NEVER),
        ("arn:aws:s3:::dat?", NEVER),
        ("arn:aws:s3:::data-2/*", NEVER),
        ("arn:aws:s3:::*-2/*", SOMETIMES),
        ("arn:aws:s3:::DATA/*", NEVER),
        ("", NEVER),
    ],
)
def test_a_pattern_covers_all_objects_of_a_bucket_or_some_or_none(pattern: str, expected: Extent) -> None:
    assert text_extent(pattern, OBJECTS) is expected
    assert glob_extent(glob(pattern), OBJECTS) is expected


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    pattern = "arn:aws:s3:::" + "*a" * 60 + "*b"
    before = time.process_time()
    assert not matches(glob(pattern), "arn:aws:s3:::" + "a" * 1_000)
    assert text_extent(pattern, Resource("arn:aws:s3:::" + "a" * 60 + "/", family=True)) is SOMETIMES
    assert time.process_time() - before < 1
