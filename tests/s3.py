"""A server of this process that speaks S3, for tests of what is kept in an object store."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import quote

import pyarrow.fs as pafs
import pytest

BUCKET = "lake"


@contextmanager
def s3_server() -> Generator[str]:
    """Its host and port; it has a bucket. The test is skipped where moto is not installed."""
    server_module = pytest.importorskip(
        "moto.server", reason="moto[server] is not installed: pip install -e '.[dev]'"
    )
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request otherwise
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        pafs.S3FileSystem(
            access_key="k",
            secret_key="secret",
            region="us-east-1",
            scheme="http",
            endpoint_override=f"{host}:{port}",
            allow_bucket_creation=True,
        ).create_dir(BUCKET)
        yield f"{host}:{port}"
    finally:
        server.stop()


def s3_uri(endpoint: str, folder: str) -> str:
    """A folder of the bucket, as users write it."""
    return f"s3://k:secret@{BUCKET}/{folder}?scheme=http&region=us-east-1&endpoint_override={quote(endpoint)}"
