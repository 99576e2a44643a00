"""String functions. Positions count characters from 1; a NULL argument gives NULL unless stated otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamsql.datatypes import (
    BOOLEAN,
    BYTES,
    CHAR,
    INT,
    MAP,
    MAX_LENGTH,
    STRING,
    VARCHAR,
    DataType,
    Root,
)  # fmt: skip
from streamsql.errors import UnsupportedError

from ..sql_parts import let, quote
from .base import Compile, FunctionDef, Infer, Invocation, TypeMismatch, scalar
from .coercion import common_of

if TYPE_CHECKING:
    from ..expressions import Call, Expr

CATEGORY = "string"


def _concat_type(args: Sequence[Expr]) -> DataType:
    a, b = args[0].type, args[1].type
    if a.is_string != b.is_string:
        raise TypeMismatch("|| joins two strings, or two byte strings")
    length = min(a.length + b.length, MAX_LENGTH)
    if a.is_binary:
        return BYTES()
    fixed = a.root is Root.CHAR and b.root is Root.CHAR
    return CHAR(length) if fixed else STRING() if length == MAX_LENGTH else VARCHAR(length)


def _substring(inv: Invocation) -> str:
    """Position 0 counts as 1, a negative one from the end (before the start: empty); a negative length gives NULL."""
    text, start = inv.args[0], inv.args[1]
    length = inv.args[2] if len(inv.args) > 2 else None
    known, known_length = inv.constant(1), inv.constant(2)
    tail = f", {length}" if length else ""
    if isinstance(known, int) and (length is None or isinstance(known_length, int)):
        if isinstance(known_length, int) and known_length < 0:
            return "CAST(NULL AS VARCHAR)"
        if known >= 0:
            return f"substring({text}, {max(known, 1)}{tail})"
    long = f"CASE WHEN {length} >= 0 THEN " if length else ""

    def by(x: str) -> str:
        def at(s: str) -> str:
            begins = f"CASE WHEN {s} = 0 THEN 1 ELSE {s} END"
            cut = f"CASE WHEN {s} < -length({x}) THEN '' ELSE substring({x}, {begins}{tail}) END"
            return f"{long}{cut} END" if length else cut

        return let(start, at, volatile=inv.volatile)

    return f"({let(text, by, volatile=inv.volatile)} || CASE WHEN {start} IS NOT NULL THEN '' END)"


def _trim(side: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        return f"{side}({', '.join(inv.args)})"

    return compile_


def _trim_text(call: Call) -> str:
    text, *chars = (a.text() for a in call.args)
    return f"TRIM({call.function.name.removeprefix('TRIM ')} {chars[0] if chars else repr(' ')} FROM {text})"


def _overlay(inv: Invocation) -> str:
    """Flink: a start outside the text changes nothing; a length of 0 or less drops the rest."""
    text, new, start = inv.args[:3]
    length = inv.args[3] if len(inv.args) > 3 else f"length({new})"

    def by(x: str) -> str:
        rest = f"CASE WHEN {start} + {length} <= length({x}) AND {length} > 0"
        tail = f"{rest} THEN substring({x}, {start} + {length}) ELSE '' END"
        inside = f"left({x}, {start} - 1) || {new} || {tail}"
        outside = f"CASE WHEN {new} IS NOT NULL AND {length} IS NOT NULL THEN {x} END"
        return f"CASE WHEN {start} <= 0 OR {start} > length({x}) THEN {outside} WHEN {start} >= 1 THEN {inside} END"

    return let(text, by, volatile=inv.volatile)


def _pad(function: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        text, length, pad = inv.args
        return f"CASE WHEN {length} >= 0 AND {pad} <> '' THEN {function}({text}, CAST({length} AS INTEGER), {pad}) END"

    return compile_


def _take(function: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        text, n = inv.args
        known = inv.constant(1)
        if isinstance(known, int):
            return f"{function}({text}, {max(known, 0)})"
        return f"CASE WHEN {n} IS NOT NULL THEN {function}({text}, greatest({n}, 0)) END"

    return compile_


def _locate(inv: Invocation) -> str:
    needle, text = inv.args[:2]
    if len(inv.args) < 3:
        return f"strpos({text}, {needle})"
    start = inv.args[2]
    rest = f"strpos(substring({text}, greatest({start}, 1)), {needle})"
    found = let(rest, lambda p: f"CASE WHEN {p} > 0 THEN {p} + greatest({start}, 1) - 1 ELSE {p} END")
    return f"CASE WHEN {start} IS NOT NULL THEN {found} END"


def _instr(inv: Invocation) -> str:
    if len(inv.args) > 2:
        raise UnsupportedError(
            "INSTR with a start position or an occurrence is not supported",
            hint="use LOCATE(part, text, start)",
        )
    return f"strpos({inv.args[0]}, {inv.args[1]})"


def _ascii(inv: Invocation) -> str:
    """The first byte as Java's signed byte; 0 of an empty text."""

    def by(x: str) -> str:
        first = f"CAST('0x' || left(hex({x}), 2) AS INTEGER) - 256"
        return f"CASE WHEN {x} = '' THEN 0 WHEN ascii({x}) < 128 THEN ascii({x}) ELSE {first} END"

    return let(inv.args[0], by, volatile=inv.volatile)


def _chr(inv: Invocation) -> str:
    return let(inv.args[0], lambda x: f"CASE WHEN {x} < 0 THEN '' ELSE chr(CAST({x} & 255 AS INTEGER)) END",
               volatile=inv.volatile)  # fmt: skip


def _initcap(inv: Invocation) -> str:
    parts = f"regexp_extract_all({inv.args[0]}, '[\\p{{L}}\\p{{N}}]+|[^\\p{{L}}\\p{{N}}]+')"
    return f"array_to_string(list_transform({parts}, lambda _w: upper(left(_w, 1)) || lower(substring(_w, 2))), '')"


def _split_index(inv: Invocation) -> str:
    """Counts from 0; NULL outside. A separator may be given as the code of its character."""
    text, separator, index = inv.args
    if inv.types[1].is_integer:
        code = inv.constant(1)
        if not isinstance(code, int):
            raise UnsupportedError(
                "SPLIT_INDEX with a character code needs a constant", hint="use a string separator"
            )
        if not 1 <= code <= 255:
            return "CAST(NULL AS VARCHAR)"
        separator = quote(chr(code))
    known = inv.constant(2)
    if isinstance(known, int):
        if known < 0:
            return "CAST(NULL AS VARCHAR)"
        found = f"string_split({text}, {separator})[{known + 1}]"
    else:
        found = f"CASE WHEN {index} >= 0 THEN string_split({text}, {separator})[{index} + 1] END"
    return let(text, lambda x: f"CASE WHEN {x} <> '' THEN {found} END") if len(text) < 40 else found


def _str_to_map(inv: Invocation) -> str:
    """Delimiters are regular expressions in Flink; here a constant that is a plain text after unescaping."""
    pair, value = (_plain(inv, i, default) for i, default in ((1, ","), (2, "=")))

    def entry(p: str) -> str:
        parts = f"strpos({p}, {quote(value)})"
        key = f"CASE WHEN {parts} > 0 THEN left({p}, {parts} - 1) ELSE {p} END"
        val = f"CASE WHEN {parts} > 0 THEN substring({p}, {parts} + {len(value)}) END"
        return f"struct_pack(k := {key}, v := {val})"

    def by(x: str) -> str:
        pairs = f"list_transform(string_split({x}, {quote(pair)}), lambda _p: {entry('_p')})"
        later = f"list_transform({pairs}[_i + 1:], lambda _f: _f.k)"
        last = f"list_filter({pairs}, lambda _e, _i: NOT list_contains({later}, _e.k))"
        return f"CASE WHEN {x} = '' THEN MAP {{}} ELSE map_from_entries({last}) END"

    return let(inv.args[0], by, volatile=inv.volatile)


def _plain(inv: Invocation, i: int, default: str) -> str:
    if len(inv.args) <= i:
        return default
    text = inv.text(i, "delimiter")
    plain = text.replace("\\", "")
    special = set(text.replace("\\" + plain, "")) & set("<([{\\^-=$!|]})?*+.>") if "\\" not in text else set()
    if not plain or (special - set("=-<>!")):
        raise UnsupportedError(
            f"STR_TO_MAP with the regular expression {text!r} is not supported as a delimiter"
        )
    return plain


def _charset(inv: Invocation) -> None:
    name = inv.text(1, "character set").upper()
    if name not in ("UTF-8", "UTF8", "US-ASCII"):
        raise UnsupportedError(f"the character set {name!r} is not supported", hint="use 'UTF-8'")


def _encode(inv: Invocation) -> str:
    _charset(inv)
    return f"encode({inv.args[0]})"


def _decode(inv: Invocation) -> str:
    _charset(inv)
    return f"decode({inv.args[0]})"


def _from_base64(inv: Invocation) -> str:
    return f"decode(from_base64({inv.args[0]}))"


def _to_base64(inv: Invocation) -> str:
    value = inv.args[0] if inv.types[0].is_binary else f"encode({inv.args[0]})"
    return f"to_base64({value})"


def _affix(function: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        if inv.types[0].is_binary:
            return f"{function}(hex({inv.args[0]}), hex({inv.args[1]}))"
        return f"{function}({inv.args[0]}, {inv.args[1]})"

    return compile_


def _same_kind(args: Sequence[Expr]) -> Sequence[Expr]:
    if args[0].type.is_string != args[1].type.is_string:
        raise TypeMismatch("both arguments must be strings, or both byte strings")
    return args


def _elt_type(args: Sequence[Expr]) -> DataType:
    return common_of(args[1:])


def _elt(inv: Invocation) -> str:
    items = ", ".join(inv.args[1:])
    known = inv.constant(0)
    if isinstance(known, int) and known < 1:
        return "NULL"
    return f"CASE WHEN {inv.args[0]} >= 1 THEN [{items}][{inv.args[0]}] END"


_URL = r"^([^:/?#]+)://(([^/?#@]*)@)?(([^/?#:@]*)(:[0-9]+)?)([^?#]*)(\?([^#]*))?(#(.*))?$"
_URL_GROUPS = {"PROTOCOL": 1, "USERINFO": 3, "HOST": 5, "PATH": 7, "QUERY": 9, "REF": 11}


def _parse_url(inv: Invocation) -> str:
    part = inv.text(1, "part of the URL")
    url = inv.args[0]
    if len(inv.args) > 2:
        if part != "QUERY":
            return "CAST(NULL AS VARCHAR)"
        key = inv.text(2, "key")
        escaped = "".join("\\" + c if not c.isalnum() else c for c in key)
        query = f"regexp_extract_all({url}, {quote(_URL)}, 9)[1]"
        return f"regexp_extract_all({query}, {quote(f'(&|^){escaped}=([^&]*)')}, 2)[1]"
    if part in _URL_GROUPS:
        return f"regexp_extract_all({url}, {quote(_URL)}, {_URL_GROUPS[part]})[1]"
    group = f"regexp_extract_all({url}, {quote(_URL)}, {{0}})[1]"
    if part == "AUTHORITY":
        return f"(coalesce({group.format(2)}, '') || {group.format(4)})"
    if part == "FILE":
        return f"({group.format(7)} || coalesce({group.format(8)}, ''))"
    return "CAST(NULL AS VARCHAR)"


def _is_decimal(inv: Invocation) -> str:
    if inv.types[0].is_numeric:
        return "true"
    number = r"\s*[+-]?(NaN|Infinity|((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fFdD]?))\s*"
    return f"coalesce(regexp_full_match({inv.args[0]}, {quote(number)}), false)"


def _all_match(pattern: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        if not inv.types[0].is_string:
            return "true" if inv.types[0].is_integer and "Nd" in pattern else "false"
        return f"coalesce(regexp_full_match({inv.args[0]}, {quote(pattern)}), false)"

    return compile_


def _url_encode(inv: Invocation) -> str:
    text = f"url_encode({inv.args[0]})"
    for old, new in (("%20", "+"), ("~", "%7E"), ("%2A", "*")):
        text = f"replace({text}, {quote(old)}, {quote(new)})"
    return text


def _same_length(args: Sequence[Expr]) -> DataType:
    """The type of the text."""
    return args[0].type


def _at_most(args: Sequence[Expr]) -> DataType:
    """Up to as long as the text."""
    return VARCHAR(args[0].type.length)


def _overlaid(args: Sequence[Expr]) -> DataType:
    return VARCHAR(min(args[0].type.length + args[1].type.length, MAX_LENGTH))


def _sized(
    name: str,
    signature: str,
    sql: str | Compile,
    description: str,
    *,
    result: Infer = _at_most,
    result_text: str = "VARCHAR of the text's length",
    **options: Any,
) -> FunctionDef:
    return scalar(name, CATEGORY, signature, result, sql, description, result_text=result_text, **options)


def _text(name: str, signature: str, sql: str | Compile, description: str, **options: Any) -> FunctionDef:
    return scalar(name, CATEGORY, signature, STRING(), sql, description, **options)


def _count(name: str, signature: str, sql: str | Compile, description: str, **options: Any) -> FunctionDef:
    return scalar(name, CATEGORY, signature, INT(), sql, description, **options)


def _trim_side(side: str, function: str) -> FunctionDef:
    return _sized(
        f"TRIM {side}", "(STRING[, STRING])", _trim(function), "", render=_trim_text,
        syntax=(f"TRIM({side} string1 FROM string2)",),
    )  # fmt: skip


_LIKE: dict[str, Any] = {"result": _same_length, "result_text": "the type of the text"}

FUNCTIONS: tuple[FunctionDef, ...] = (
    scalar("||", CATEGORY, "(TEXT, TEXT)", _concat_type, "({0} || {1})", "Both joined.",
           form="infix", syntax=("string1 || string2",), result_text="VARCHAR, CHAR or BYTES of both lengths"),
    _count("CHAR_LENGTH", "(STRING)", "length({0})", "The number of characters.",
           aliases=("CHARACTER_LENGTH",)),
    _sized("UPPER", "(STRING)", "upper({0})", "In upper case.", exact=True, **_LIKE),
    _sized("LOWER", "(STRING)", "lower({0})", "In lower case.", exact=True, **_LIKE),
    _count("POSITION", "(STRING, STRING)", "strpos({1}, {0})",
           "The position of the first occurrence of string1 in string2, 0 if there is none.",
           syntax=("POSITION(string1 IN string2)",)),
    _sized("TRIM", "(STRING[, STRING])", _trim("trim"),
          "Without the leading and trailing blanks, or characters of string1. LEADING or TRAILING: on that side only.",
          syntax=("TRIM([[BOTH | LEADING | TRAILING] [string1] FROM] string2)",)),
    _trim_side("LEADING", "ltrim"),
    _trim_side("TRAILING", "rtrim"),
    _sized("LTRIM", "(STRING[, STRING])", _trim("ltrim"), "Without the leading blanks, or characters of string2."),
    _sized("RTRIM", "(STRING[, STRING])", _trim("rtrim"), "Without the trailing blanks, or characters of string2."),
    _text("BTRIM", "(STRING[, STRING])", _trim("trim"), "Without blanks, or characters of string2, on both sides."),
    _text("REPEAT", "(STRING, INT)", "repeat({0}, {1})", "The text that many times."),
    _text("REPLACE", "(STRING, STRING, STRING)", "replace({0}, {1}, {2})",
          "With every occurrence of string2 replaced by string3."),
    _sized("OVERLAY", "(STRING, STRING, INT[, INT])", _overlay,
          "With characters from a position on replaced; as many as the new text has, or integer2.",
          syntax=("OVERLAY(string1 PLACING string2 FROM integer1 [FOR integer2])",), result=_overlaid,
          result_text="VARCHAR of both lengths"),
    _sized("SUBSTRING", "(STRING, INT[, INT])", _substring,
          "The part from a position (negative: from the end) to the end or of a length.",
          aliases=("SUBSTR",), nullable="always",
          syntax=("SUBSTRING(string FROM integer1 [FOR integer2])", "SUBSTRING(string, integer1[, integer2])")),
    _sized("LEFT", "(STRING, INT)", _take("left"), "The first characters; empty if the number is negative.",
           nullable="always"),
    _sized("RIGHT", "(STRING, INT)", _take("right"), "The last characters; empty if the number is negative.",
           nullable="always"),
    _text("LPAD", "(STRING, INT, STRING)", _pad("lpad"), "Padded on the left, or cut, to a length.",
          nullable="always"),
    _text("RPAD", "(STRING, INT, STRING)", _pad("rpad"), "Padded on the right, or cut, to a length.",
          nullable="always"),
    _text("CONCAT", "(STRING...)", lambda inv: "(" + " || ".join(inv.args) + ")",
          "All joined; NULL if one is NULL."),
    scalar("CONCAT_WS", CATEGORY, "(STRING, STRING...)", STRING(),
           "concat_ws({args})", "All but the first joined with the first between; NULLs are left out.",
           nullable="always"),
    _sized("INITCAP", "(STRING)", _initcap, "Each word with an upper-case first letter and the rest in lower case.",
           **_LIKE),
    _count("INSTR", "(STRING, STRING[, INT, INT])", _instr, "The position of string2 in string1, 0 if not there.",
           syntax=("INSTR(string1, string2)",)),
    _count("LOCATE", "(STRING, STRING[, INT])", _locate,
           "The position of string1 in string2, looking from a position on; 0 if not there."),
    _text("REVERSE", "(STRING)", "reverse({0})", "In reverse order.", nullable="always"),
    _text("SPLIT_INDEX", "(STRING, ANY, INT)", _split_index,
          "The part with that number, from 0, of the text split at string2; NULL if there is none.",
          nullable="always", syntax=("SPLIT_INDEX(string1, string2, integer)",)),
    scalar("STR_TO_MAP", CATEGORY, "(STRING[, STRING, STRING])", MAP(STRING(), STRING()), _str_to_map,
           "A map from pairs separated by string2 (',') of keys and values separated by string3 ('=').",
           nullable="always"),
    _count("ASCII", "(STRING)", _ascii, "The code of the first character's first byte."),
    _text("CHR", "(INT)", _chr, "The character of a code, modulo 256; empty if negative.",
          nullable="always"),
    scalar("ENCODE", CATEGORY, "(STRING, STRING)", BYTES(), _encode, "The bytes of a text in a character set."),
    _text("DECODE", "(BYTES, STRING)", _decode, "The text of bytes in a character set."),
    _text("FROM_BASE64", "(STRING)", _from_base64, "The text that was encoded."),
    _text("TO_BASE64", "(TEXT)", _to_base64, "The base64 encoding of a text or of bytes."),
    scalar("STARTSWITH", CATEGORY, "(TEXT, TEXT)", BOOLEAN(), _affix("starts_with"),
           "TRUE if the first begins with the second.", coerce=_same_kind),
    scalar("ENDSWITH", CATEGORY, "(TEXT, TEXT)", BOOLEAN(), _affix("ends_with"),
           "TRUE if the first ends with the second.", coerce=_same_kind),
    _text("TRANSLATE", "(STRING, STRING, STRING)", "translate({0}, {1}, {2})",
          "With each character of string2 replaced by the one at its place in string3, or left out."),
    scalar("ELT", CATEGORY, "(INT, TEXT...)", _elt_type, _elt, "The argument with that number, from 1; else NULL.",
           nullable="always", result_text="common type of the arguments"),
    _text("URL_ENCODE", "(STRING)", _url_encode, "In application/x-www-form-urlencoded form.", nullable="always"),
    _text("URL_DECODE", "(STRING)", "TRY(url_decode(replace({0}, '+', ' ')))",
          "Out of application/x-www-form-urlencoded form; NULL if it is not.", nullable="always"),
    _text("PARSE_URL", "(STRING, STRING[, STRING])", _parse_url,
          "A part of a URL: HOST, PATH, QUERY, REF, PROTOCOL, AUTHORITY, FILE, USERINFO; of QUERY also one key.",
          nullable="always"),
    scalar("IS_ALPHA", CATEGORY, "(ANY)", BOOLEAN(), _all_match(r"\p{L}+"),
           "TRUE if the text is of letters only.", nullable="never"),
    scalar("IS_DIGIT", CATEGORY, "(ANY)", BOOLEAN(), _all_match(r"\p{Nd}+"),
           "TRUE if the text is of digits only.", nullable="never"),
    scalar("IS_DECIMAL", CATEGORY, "(ANY)", BOOLEAN(), _is_decimal, "TRUE if the text is a number.",
           nullable="never"),
)  # fmt: skip
