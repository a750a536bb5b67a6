"""Test line breaks in types."""

from taskcluster_codegen.layout import folded, split, typed

WORDS = [f"'{letter * 20}'".replace("'", '"') for letter in "abcdef"]


def test_short_type_stays_on_one_line():
    assert typed("x: ", "list[str]", ",", 4) == "    x: list[str],"


def test_long_arguments_are_split():
    assert typed("state: ", f"Literal[{', '.join(WORDS[:4])}]", indent=30) == "\n".join(
        [" " * 30 + "state: Literal[", *(" " * 34 + f"{word}," for word in WORDS[:4]), " " * 30 + "]"]
    )
    assert typed("a" * 40 + ": ", f"Literal[{', '.join(WORDS[:4])}]") == "\n".join(
        ["a" * 40 + ": Literal[", f"    {', '.join(WORDS[:4])}", "]"]
    )


def test_single_argument_has_no_trailing_comma():
    inner = f"Literal[{', '.join(WORDS[:4])}]"
    assert typed("a" * 30 + ": ", f"NotRequired[{inner}]").splitlines() == [
        "a" * 30 + ": NotRequired[",
        f"    {inner}",
        "]",
    ]


def test_long_union_is_parenthesised():
    names = [f"Alternative{number}" for number in range(12)]
    line = " | ".join(names[:7])
    assert typed("LongerName: TypeAlias = ", line) == f"LongerName: TypeAlias = (\n    {line}\n)"
    assert typed("Name: TypeAlias = ", " | ".join(names)).splitlines()[:3] == [
        "Name: TypeAlias = (",
        "    Alternative0",
        "    | Alternative1",
    ]


def test_separators_in_brackets_and_quotes_are_ignored():
    text = 'Literal["a | [b", "\\"| c"] | dict[str, int | None] | None'
    assert split(text, " | ") == ['Literal["a | [b", "\\"| c"]', "dict[str, int | None]", "None"]


def test_arguments_are_on_one_line_if_they_fit():
    assert folded("    call(", ["a", "b"], ")", 4) == "    call(a, b)"
    assert folded("x" * 110 + "(", ["a" * 5, "b" * 5], ")", 0) == f"{'x' * 110}(\n    aaaaa, bbbbb\n)"
    names = [letter * 40 for letter in "abc"]
    assert folded("call(", names, ")", 0) == "\n".join(["call(", *(f"    {name}," for name in names), ")"])
