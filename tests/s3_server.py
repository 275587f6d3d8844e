"""A small S3 server on loopback for tests: one bucket in memory, and every request's signature is checked.

It speaks what Amazon's documentation says of PutObject, GetObject (with ranges), DeleteObjects, ListObjectsV2
and Signature Version 4, and nothing else.
"""

import base64
import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

ACCESS_KEY, SECRET_KEY, REGION, BUCKET = "AKIATEST", "a secret of tests", "eu-test-1", "blobs"


class S3Server(ThreadingHTTPServer):
    """`objects` is the bucket; `broken` answers everything with 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.broken = False
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: S3Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        if (key := self._begin()) is not None:
            self.server.objects[key] = (self._body, datetime.now(UTC))
            self._answer(200, headers={"ETag": f'"{hashlib.md5(self._body).hexdigest()}"'})

    def do_GET(self) -> None:
        if (key := self._begin()) is None:
            return
        if not key:
            self._list()
        elif key not in self.server.objects:
            self._refuse(404, "NoSuchKey")
        else:
            data, at = self.server.objects[key]
            headers = {
                "ETag": f'"{hashlib.md5(data).hexdigest()}"',
                "Last-Modified": f"{at:%a, %d %b %Y %H:%M:%S} GMT",
            }
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if wanted is None:
                self._answer(200, data, headers)
                return
            first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self._answer(206, data[first : last + 1], headers)

    def do_DELETE(self) -> None:
        if (key := self._begin()) is not None:
            self.server.objects.pop(key, None)
            self._answer(204)

    def do_POST(self) -> None:
        if self._begin() is None:
            return
        names = [e.text or "" for e in ElementTree.fromstring(self._body).iter() if e.tag.endswith("Key")]
        for name in names:
            self.server.objects.pop(name, None)
        gone = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in names)
        self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    def log_message(self, format: str, *args: object) -> None:
        self.server.requests.append(format % args)

    def _begin(self) -> str | None:
        """The object's name; None when the request was refused."""
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.broken:
            return self._refuse(503, "ServiceUnavailable")
        if not self._is_signed():
            return self._refuse(403, "SignatureDoesNotMatch")
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        return key if bucket == BUCKET else self._refuse(404, "NoSuchBucket")

    def _is_signed(self) -> bool:
        given = self.headers.get("Authorization", "")
        parts = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^,\s]+)", given))
        who, day, region, service, end = (parts.get("Credential", "") + "////").split("/")[:5]
        if (who, region, service, end) != (ACCESS_KEY, REGION, "s3", "aws4_request"):
            return False
        said = self.headers.get("x-amz-content-sha256", "")
        if said not in ("UNSIGNED-PAYLOAD", hashlib.sha256(self._body).hexdigest()):
            return False
        target = urlsplit(self.path)
        query = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in sorted(parse_qsl(target.query, keep_blank_values=True))
        )
        signed = parts["SignedHeaders"].split(";")
        headers = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in signed)
        path = quote(unquote(target.path), safe="/-_.~")
        canonical = "\n".join([self.command, path, query, headers, ";".join(signed), said])
        scope = f"{day}/{region}/{service}/{end}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, digest])
        key = f"AWS4{SECRET_KEY}".encode()
        for part in (day, region, service, end):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), parts["Signature"])

    def _list(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        after = query.get("start-after", "")
        if "continuation-token" in query:
            after = base64.b64decode(query["continuation-token"]).decode()
        names = [
            n for n in sorted(self.server.objects) if n.startswith(query.get("prefix", "")) and n > after
        ]
        page = names[: min(int(query.get("max-keys", 1000)), 100)]
        rows = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>{at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<Size>{len(data)}</Size><ETag>x</ETag></Contents>"
            for name in page
            for data, at in [self.server.objects[name]]
        )
        more = len(page) < len(names)
        token = base64.b64encode(page[-1].encode()).decode() if more else ""
        rows += f"<NextContinuationToken>{token}</NextContinuationToken>" if more else ""
        body = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{rows}</ListBucketResult>"
        self._answer(200, body.encode())

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
