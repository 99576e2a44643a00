"""Formats by name: their options (without the format's prefix) and the changelog they carry."""

from __future__ import annotations

from streamsql.changelog import ChangelogMode
from streamsql.datatypes import MAP, STRING, TIMESTAMP_LTZ

from .connectors import FormatDescriptor, register_format
from .options import ConfigOption

TIMESTAMP_STANDARDS = ("SQL", "ISO-8601")

_JSON_BOTH = (
    ConfigOption(
        "ignore-parse-errors",
        "bool",
        False,
        "an unreadable field becomes NULL and an unreadable message is skipped",
    ),
    ConfigOption(
        "timestamp-format.standard",
        "enum",
        "SQL",
        "'SQL' (a space) or 'ISO-8601' (a T) between date and time",
        choices=TIMESTAMP_STANDARDS,
    ),
    ConfigOption(
        "map-null-key.mode",
        "enum",
        "FAIL",
        "for Flink's sake: a map never holds a NULL key here (making one is an error), so none is ever written",
        choices=("FAIL", "DROP", "LITERAL"),
    ),
    ConfigOption("map-null-key.literal", "string", "null", "for Flink's sake, see map-null-key.mode"),
    ConfigOption("encode.decimal-as-plain-number", "bool", False, "write DECIMAL without an exponent"),
    ConfigOption("encode.ignore-null-fields", "bool", False, "leave NULL fields out of the written object"),
)

JSON = register_format(
    FormatDescriptor(
        "json",
        (
            ConfigOption(
                "fail-on-missing-field", "bool", False, "a field of the schema must be in every object"
            ),
            *_JSON_BOTH,
            ConfigOption(
                "decode.json-parser.enabled",
                "bool",
                True,
                "accepted for Flink's sake: there is one reader, and its results are the same for both values",
            ),
            ConfigOption(
                "scalar",
                "bool",
                False,
                "the message is the bare value of the only column, not an object with that field",
            ),
        ),
    )
)

DEBEZIUM_JSON = register_format(
    FormatDescriptor(
        "debezium-json",
        (
            ConfigOption(
                "schema-include", "bool", False, 'the message is {"schema": …, "payload": …} (reading only)'
            ),
            *_JSON_BOTH,
        ),
        ChangelogMode.RETRACT,
        {
            "schema": STRING(),
            "ingestion-timestamp": TIMESTAMP_LTZ(3),
            "source.timestamp": TIMESTAMP_LTZ(3),
            "source.database": STRING(),
            "source.schema": STRING(),
            "source.table": STRING(),
            "source.properties": MAP(STRING(), STRING()),
        },
    )
)

CSV = register_format(
    FormatDescriptor(
        "csv",
        (
            ConfigOption(
                "field-delimiter",
                "string",
                ",",
                "one character; \\t and \\u0001 style escapes are understood",
            ),
            ConfigOption("disable-quote-character", "bool", False, "quotes are ordinary characters"),
            ConfigOption(
                "quote-character", "string", '"', "one character around fields that hold a delimiter"
            ),
            ConfigOption("allow-comments", "bool", False, "lines that begin with # are skipped"),
            ConfigOption(
                "ignore-parse-errors",
                "bool",
                False,
                "an unreadable field becomes NULL and an unreadable line is skipped",
            ),
            ConfigOption(
                "array-element-delimiter",
                "string",
                ";",
                "between the elements of an ARRAY or the fields of a ROW",
            ),
            ConfigOption(
                "escape-character", "string", None, "the character that takes away the next one's meaning"
            ),
            ConfigOption("null-literal", "string", None, "the text that stands for NULL"),
            ConfigOption(
                "write-bigdecimal-in-scientific-notation", "bool", True, "write DECIMAL 100000 as 1E+5"
            ),
            ConfigOption("trim-spaces", "bool", False, "spaces around unquoted fields are dropped"),
            ConfigOption(
                "ignore-trailing-unmappable", "bool", False, "more fields than columns are no error"
            ),
            ConfigOption(
                "allow-trailing-comma",
                "bool",
                True,
                "one empty field too many at the end of a line is no error",
            ),
            ConfigOption("fail-on-missing-columns", "bool", False, "fewer fields than columns are an error"),
            ConfigOption("empty-string-as-null", "bool", False, "an unquoted empty field is NULL"),
        ),
    )
)

RAW = register_format(
    FormatDescriptor(
        "raw",
        (
            ConfigOption("charset", "string", "UTF-8", "the encoding of a character column"),
            ConfigOption(
                "endianness",
                "enum",
                "big-endian",
                "the byte order of numbers",
                choices=("big-endian", "little-endian"),
            ),
            ConfigOption(
                "line-delimiter", "string", None, "splits a message into several rows; written after each row"
            ),
        ),
    )
)

PARQUET = register_format(
    FormatDescriptor(
        "parquet",
        (
            ConfigOption(
                "compression",
                "enum",
                "SNAPPY",
                "how column chunks are compressed",
                choices=("UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4"),
            ),
            ConfigOption(
                "utc-timezone",
                "enum",
                "true",
                "a TIMESTAMP is written as it reads, in no zone",
                choices=("true", "false"),
                refused={"false": "a TIMESTAMP has no zone, and the zone of this machine is not used"},
            ),
            ConfigOption(
                "timestamp.time.unit",
                "enum",
                "micros",
                "the unit timestamps are written in",
                choices=("micros", "millis"),
            ),
            ConfigOption(
                "write.int64.timestamp",
                "enum",
                "true",
                "timestamps are INT64",
                choices=("true", "false"),
                refused={"false": "INT96 is deprecated by Parquet and not written (it is read)"},
            ),
            ConfigOption("block.size", "memory", 134_217_728, "size of a row group"),
            ConfigOption("page.size", "memory", 1_048_576, "size of a page"),
            ConfigOption("enable.dictionary", "bool", True, "dictionary encoding"),
        ),
    )
)
