"""Turns bytes into what a handler is given, and what it returns into bytes.

Nothing here waits or knows of sockets: fnb_threads.py and fnb_loop.py do."""

import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

HEAD_LIMIT = 2 << 20  # the watchdog takes heads of 1 MiB, and adds a few lines
LINE_LIMIT = 64 << 10
TEXT_LIMIT = 64 << 20  # of a compressed body, when it is text again

READY = "/_/ready"  # what the watchdog asks, and nobody else can

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
REASONS = {status.value: status.phrase for status in HTTPStatus}
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search


class Refused(Exception):
    """A request that no handler is asked about, or a body that is not what the handler reads it as."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Headers(dict):
    """The headers of a request. Their names are equal in upper and lower case.

    Several lines of one name are one value, joined as RFC 9110 says, and those of
    Cookie as RFC 6265 does; getlist has each by itself."""

    def __init__(self, pairs):
        super().__init__()
        self._names = names = {}
        self._pairs = pairs
        put = super().__setitem__
        more = {}
        for name, value in pairs:
            low = name.lower()
            if low in names:
                more.setdefault(low, [super().__getitem__(names[low])]).append(value)
            else:
                names[low] = name
                put(name, value)
        for low, values in more.items():
            put(names[low], ("; " if low == "cookie" else ", ").join(values))

    def __getitem__(self, name):
        return super().__getitem__(self._names.get(name.lower(), name))

    def __contains__(self, name):
        return isinstance(name, str) and name.lower() in self._names

    def get(self, name, default=None):
        return self[name] if name in self else default

    def getlist(self, name):
        return [value for known, value in self._pairs if known.lower() == name.lower()]

    get_all = getlist


class Query(dict):
    """The fields of a query or a form: the first value of each name, or all of one."""

    def __init__(self, text):
        self._all = {}
        if text:
            for name, value in parse_qsl(text, keep_blank_values=True):
                self._all.setdefault(name, []).append(value)
        super().__init__({name: values[0] for name, values in self._all.items()})

    def getlist(self, name):
        return list(self._all.get(name, []))

    def to_dict(self, flat=True):
        return dict(self) if flat else {name: list(values) for name, values in self._all.items()}


class Request:
    """The head of a request."""

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        try:
            self.method, self.target, version = first.split(" ")
        except ValueError:
            raise Refused(400, "the first line of the request is not of HTTP") from None
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise Refused(505, "the version of HTTP is neither 1.1 nor 1.0")
        self.pairs = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not TOKEN(name):
                raise Refused(400, "a header has no name")
            self.pairs.append((name, value.strip(" \t")))
        self.headers = Headers(self.pairs)
        self.modern = version == "HTTP/1.1"
        asked = self.headers.get("Connection", "").lower()
        self.keep = self.modern and "close" not in asked
        self.length = self._length()  # None: chunks

    def _length(self):
        length, coding = self.headers.get("Content-Length"), self.headers.get("Transfer-Encoding")
        if coding is None:
            if length is None:
                return 0
            if not (length.isascii() and length.isdigit()) or len(length) > 18:
                raise Refused(400, "the content length is no number")
            return int(length)
        if coding.lower() != "chunked" or length is not None:
            raise Refused(400, "it cannot be told where the body ends")
        return None

    def url(self):
        """Return the path as it was sent, and the query."""
        target = self.target
        if target.startswith("/"):
            path, _, query = target.partition("#")[0].partition("?")
            return path, query
        url = urlsplit(target)
        return url.path, url.query


class Framing:
    """Takes the body of a request out of what has been received."""

    def __init__(self, length):
        self.chunked = length is None
        self.left = length or 0
        self.ends = self.trailer = False  # of a chunk: its line end is next; the last one has been read
        self.done = length == 0

    def take(self, buffer):
        """Return what buffer has of the body, and remove it there."""
        if not self.chunked:
            piece = self._data(buffer)
            self.done = self.left == 0
            return piece
        pieces = []
        while not self.done:
            if self.left:
                if not buffer:
                    break
                pieces.append(self._data(buffer))
                continue
            end = buffer.find(b"\n", 0, LINE_LIMIT)
            if end < 0:
                if len(buffer) >= LINE_LIMIT:
                    raise Refused(400, "a line between the chunks of the body is too long")
                break
            line = bytes(buffer[:end]).rstrip(b"\r")
            del buffer[: end + 1]
            self._line(line)
        return b"".join(pieces)

    def _data(self, buffer):
        piece = bytes(buffer[: self.left])
        del buffer[: len(piece)]
        self.left -= len(piece)
        return piece

    def _line(self, line):
        if self.trailer:
            self.done = not line
        elif self.ends:
            if line:
                raise Refused(400, "a chunk of the body is longer than it says")
            self.ends = False
        else:
            size = line.split(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", size):
                raise Refused(400, "a chunk of the body has no size")
            self.left = int(size, 16)
            self.ends, self.trailer = self.left > 0, self.left == 0


class Event:
    """A request, as a handler sees it."""

    def __init__(self, request, body, stream=None):
        path, self.query_string = request.url()
        self.method = request.method
        self.path = unquote(path) if "%" in path else path
        self.query = Query(self.query_string)
        self.headers = request.headers
        if body is None:
            self.stream = stream
        else:
            self.body = body

    def __getattr__(self, name):
        if name == "body":  # because it is not read yet
            self.body = self.stream.whole()
            return self.body
        if name == "stream":
            raise AttributeError("event.stream is there if handler.py says stream_body = True")
        raise AttributeError(f"an event has no {name}")

    @property
    def text(self):
        """The body as text: by its byte order mark, the charset of its content type, or else as UTF-8.
        What is none of that charset is U+FFFD."""
        body = inflate(self.body, self.headers.get("Content-Encoding", ""))
        for mark, charset in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
            if body.startswith(mark):
                break
        else:
            found = re.search(r"""charset\s*=\s*["']?([^\s"';]+)""", self.headers.get("Content-Type", ""), re.I)
            charset = found.group(1) if found else "utf-8"
        try:
            return body.decode(charset, "replace")
        except LookupError:
            raise Refused(415, "the body names a charset that nobody knows") from None

    def json(self):
        """The value that the body is as JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None

    @property
    def form(self):
        """The fields of the form that the body is."""
        return Query(self.text)


def inflate(body, codings):
    """Return a body without its content codings."""
    for coding in reversed([c.strip().lower() for c in codings.split(",")]):
        if coding in ("", "identity"):
            continue
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise Refused(415, "the body has a content coding that is neither gzip nor deflate")
        import zlib

        try:
            inflater = zlib.decompressobj(47)  # gzip or zlib, as its head says
            body = inflater.decompress(body, TEXT_LIMIT)
        except zlib.error:
            raise Refused(400, f"the body is not {coding}") from None
        if inflater.unconsumed_tail:
            raise Refused(413, "the body is too long when it is not compressed")
        if not inflater.eof:
            raise Refused(400, "the compressed body has no end")
    return body


class Context:
    hostname = os.getenv("HOSTNAME", "localhost")


class Answer:
    """What a handler returned, as status, headers and body: bytes, or an iterator of pieces.

    length is how long the pieces are together, if that is known."""

    length = None

    def __init__(self, value):
        self.status, self.headers, given = 200, [], None
        if isinstance(value, tuple):
            value, given = self._tuple(value)
        elif isinstance(value, dict) and value.keys() & ANSWER:
            if value.get("statusCode") is not None:
                self.status = status(value["statusCode"])
            given = value.get("headers")
            value = value.get("body")
        self.body, kind = encode(value)
        if given:
            self.headers = pairs(given)
            if any(name.lower() == "content-type" for name, _ in self.headers):
                return
        self.headers.append(("Content-Type", kind))

    def _tuple(self, value):
        if len(value) > 3 or not value:
            raise TypeError(f"a tuple of {len(value)} cannot be sent: it is (body, status, headers)")
        value, *rest = value
        given = None
        for part in rest:
            if isinstance(part, (int, str)) and not isinstance(part, bool):
                self.status = status(part)
            elif part is not None:
                given = part
        return value, given

    @classmethod
    def raw(cls, code, headers, body, length=None):
        """Return an answer that is not made of what a handler returned."""
        answer = cls.__new__(cls)
        answer.status, answer.headers, answer.body, answer.length = code, headers, body, length
        return answer


ANSWER = {"statusCode", "body", "headers"}


def failed():
    return Answer.raw(500, [("Content-Type", HTML)], b"Internal Server Error\n")


def refusal(err):
    return Answer.raw(err.status, [("Content-Type", HTML)], f"{err}\n".encode())


def readiness(value):
    """Return the answer to the watchdog: of a function that is ready, unless its hook said False."""
    if value is False:
        print("the function is not ready", file=sys.stderr)
        return Answer.raw(503, [("Content-Type", TEXT)], b"not ready\n")
    return Answer.raw(200, [("Content-Type", TEXT)], b"ready\n")


def status(value):
    """Return a status, which may be written as 201 or "201 Created"."""
    try:
        code = int(value.split(None, 1)[0] if isinstance(value, str) else value)
    except (ValueError, TypeError, IndexError):
        raise ValueError(f"{value!r} is no status") from None
    if not 200 <= code <= 999:
        raise ValueError(f"{value!r} is no status of an answer")
    return code


def pairs(headers):
    """Return headers as pairs of strings. A list is several headers of one name."""
    if isinstance(headers, Mapping):
        headers = headers.items()
    elif hasattr(headers, "items") and not isinstance(headers, (list, tuple)):
        headers = headers.items()
    out = []
    for name, value in headers:
        for one in value if isinstance(value, (list, tuple, set, frozenset)) else (value,):
            if one is not None:
                out.append(header(name, one))
    return out


def header(name, value):
    name = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    value = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if not TOKEN(name):
        raise ValueError(f"{name!r} is no name of a header")
    if CONTROL(value):
        raise ValueError(f"header {name!r} has a line break or another control character in it")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"header {name!r} has characters that no header can have: {value!a}") from None
    return name, value


def content_length(headers):
    """Return how long the body is by the headers of an application's answer, or None."""
    return next((int(value) for name, value in headers if name.lower() == "content-length" and value.isdigit()), None)


def encode(body):
    """Return a body as bytes, or as an iterator of pieces, and its content type."""
    if isinstance(body, str):
        return body.encode(), HTML
    if body is None:
        return b"", TEXT
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), BYTES
    if isinstance(body, (dict, list)):
        return json.dumps(body, default=plain).encode(), "application/json"
    if callable(getattr(body, "read", None)):
        return Reader(body), BYTES
    if isinstance(body, Iterator) or hasattr(body, "__anext__"):
        return body, TEXT
    if hasattr(body, "__aiter__"):
        return body.__aiter__(), TEXT
    return text(body), HTML


def text(value):
    """Return the text of a value that has one of its own, such as a number."""
    kind = type(value)
    if callable(value) or isinstance(value, Iterable) or kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise TypeError(f"a value of type {kind.__module__}.{kind.__qualname__} cannot be sent")
    return str(value).encode()


def plain(value):
    """Return what stands for a value that JSON has no word for."""
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        import dataclasses

        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (bytes, bytearray)):
        raise TypeError("bytes cannot be in JSON")
    return text(value).decode()


def piece(value):
    """Return one piece of a streamed body as bytes."""
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else encode_piece(value)


def encode_piece(value):
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else text(value)


class Reader:
    """The pieces of an open file, or of anything else with read."""

    def __init__(self, file):
        self.file = file
        self.read = getattr(file, "read1", file.read)

    def __iter__(self):
        return self

    def __next__(self):
        data = self.read(65536)
        if not data:
            raise StopIteration
        return data

    def close(self):
        if hasattr(self.file, "close"):
            self.file.close()


class Reply:
    """How an answer is written to a request's connection."""

    def __init__(self, request, answer):
        status = answer.status
        self.empty = status in (204, 304) or request is not None and request.method == "HEAD"
        self.keep = request is not None and request.keep
        self.whole = isinstance(answer.body, bytes)
        length = len(answer.body) if self.whole else answer.length
        if self.whole and not answer.body and answer.length is not None:
            length = answer.length  # of an application, which leaves out the body for HEAD
        self.chunked = length is None and request is not None and request.modern
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}"]
        for name, value in answer.headers:
            if name.lower() not in FRAMING:
                lines.append(f"{name}: {value}")
        if length is None and not self.chunked:
            self.keep = False
        if status not in (204, 304):
            if length is not None:
                lines.append(f"Content-Length: {length}")
            elif self.chunked:
                lines.append("Transfer-Encoding: chunked")
        if not self.keep:
            lines.append("Connection: close")
        lines.append("\r\n")
        self.head = "\r\n".join(lines).encode("latin-1")
        self.left = None if self.chunked else length

    def part(self, data):
        """Return the bytes that bring one piece of the body."""
        if self.chunked:
            return b"%x\r\n%s\r\n" % (len(data), data)
        if self.left is not None:
            self.left -= len(data)
            if self.left < 0:
                raise ValueError("the answer is longer than its content length")
        return data

    def end(self):
        if self.left:
            raise ValueError("the answer is shorter than its content length")
        return b"0\r\n\r\n" if self.chunked else b""


FRAMING = {"content-length", "transfer-encoding", "connection"}


def log_error():
    """Log the error that is being handled, with its place."""
    kind, err, _ = sys.exc_info()
    if isinstance(err, SystemExit):
        print(f"the handler wanted to end the process: SystemExit({err.code!r})", file=sys.stderr)
    traceback.print_exc()


def guard(err):
    """Raise what a loop or an executor can carry in place of what would end it."""
    if isinstance(err, (SystemExit, KeyboardInterrupt, StopIteration)):
        raise RuntimeError(f"the handler raised {err!r}") from err
    raise err
