"""Serves the function on the loopback interface, where the watchdog calls it.

It needs the standard library alone: the watchdog in front speaks HTTP to the
world, so that this server has one well-behaved client, and an image has no
package that its function did not ask for.
"""

import io
import json
import os
import queue
import re
import signal
import sys
import threading
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FunctionType, GeneratorType
from urllib.parse import parse_qsl, unquote, urlsplit

from function import handler


class Headers(dict):
    """The headers of a request. Their names are equal in upper and lower case."""

    def __init__(self, pairs):
        names, values = {}, {}
        for name, value in pairs:
            first = names.setdefault(name.lower(), name)
            values[first] = f"{values[first]},{value}" if first in values else value
        super().__init__(values)
        self._names = names

    def __getitem__(self, name):
        return super().__getitem__(self._names.get(name.lower(), name))

    def __contains__(self, name):
        return isinstance(name, str) and name.lower() in self._names

    def get(self, name, default=None):
        return self[name] if name in self else default


class Query(dict):
    """The query of a request: the first value of each name, or all of one."""

    def __init__(self, text):
        self._all = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            self._all.setdefault(name, []).append(value)
        super().__init__({name: values[0] for name, values in self._all.items()})

    def getlist(self, name):
        return list(self._all.get(name, []))


class Event:
    def __init__(self, method, target, headers, body):
        url = urlsplit(target if not target.startswith("//") else "/" + target.lstrip("/"))
        self.body = body
        self.headers = headers
        self.method = method
        self.query = Query(url.query)
        self.path = unquote(url.path)
        self.query_string = url.query


class Context:
    def __init__(self):
        self.hostname = os.getenv("HOSTNAME", "localhost")


class Answer:
    """What a handler returned, as status, headers and body."""

    def __init__(self, value):
        self.status, self.headers = 200, []
        if isinstance(value, tuple):
            value, *rest = value
            for part in rest:
                if isinstance(part, int):
                    self.status = part
                elif part is not None:
                    self.headers = pairs(part)
        elif isinstance(value, dict) and value.keys() & {"statusCode", "body", "headers"}:
            self.status = int(value.get("statusCode") or 200)
            self.headers = pairs(value.get("headers") or {})
            value = value.get("body")
        self.body, kind = encode(value)
        if not any(name.lower() == "content-type" for name, _ in self.headers):
            self.headers.append(("Content-Type", kind))


def pairs(headers):
    """Return the headers of a dict or of a list of pairs, as strings."""
    items = headers.items() if isinstance(headers, dict) else headers
    out = [(str(name), str(value)) for name, value in items]
    for name, value in out:
        if re.search(r"[\r\n\0]", name + value):
            raise ValueError(f"header {name!r} has a line break in it")
    return out


def encode(body):
    """Return a body as bytes, or as chunks of it, and its content type."""
    if body is None:
        return b"", "text/plain; charset=utf-8"
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), "application/octet-stream"
    if isinstance(body, (dict, list)):
        return json.dumps(body).encode(), "application/json"
    if isinstance(body, GeneratorType):
        return (chunk if isinstance(chunk, bytes) else str(chunk).encode() for chunk in body), "text/plain; charset=utf-8"
    return str(body).encode(), "text/html; charset=utf-8"


class Traffic:
    """Counts the requests that are being served."""

    def __init__(self):
        self.changed = threading.Condition()
        self.open = 0

    def __enter__(self):
        with self.changed:
            self.open += 1

    def __exit__(self, *_):
        with self.changed:
            self.open -= 1
            self.changed.notify_all()

    def wait_for_end(self):
        with self.changed:
            self.changed.wait_for(lambda: self.open == 0)


TRAFFIC = Traffic()


class BadRequest(Exception):
    pass


def caller():
    """Return the function that calls the handler with an event."""
    handle = handler.handle
    if plain(handle):
        return lambda event: handle(event, Context())
    import inspect

    import fnb_shape

    try:
        shape = fnb_shape.of_function(handle)
    except fnb_shape.Refused as err:
        sys.exit(f"function/handler.py: {err}\n{fnb_shape.ACCEPTED}")
    if shape == "req":
        import fnb_classic

        limit = seconds(os.getenv("exec_timeout", "30s")) or None
        return lambda event: fnb_classic.answer(event, limit)
    if not inspect.iscoroutinefunction(handle) and not inspect.iscoroutinefunction(getattr(handle, "__call__", None)):
        return lambda event: handle(event, Context())
    import asyncio

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return lambda event: asyncio.run_coroutine_threadsafe(handle(event, Context()), loop).result()


def plain(handle):
    """Return whether handle is a function of two parameters and nothing more, as
    nearly all are. That is told without the modules that tell the others."""
    if type(handle) is not FunctionType or handle.__defaults__ or hasattr(handle, "__wrapped__"):
        return False
    code = handle.__code__
    special = 0x4 | 0x8 | 0x80 | 0x200  # *args, **kwargs, async, an async generator
    return code.co_argcount == 2 and code.co_kwonlyargcount == 0 and not code.co_flags & special


class RequestHandler(BaseHTTPRequestHandler):
    call = None  # takes an event and returns what the handler returned
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_one_request(self):
        self.requestline, self.request_version, self.command = "", "", ""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        with TRAFFIC:
            if len(self.raw_requestline) > 65536:
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
                return
            if self.parse_request():
                self.serve()
            self.wfile.flush()

    def serve(self):
        try:
            body = self.read_body()
        except (BadRequest, ValueError) as err:
            self.close_connection = True
            self.answer(Answer((f"{err}\n", 400)))
            return
        try:
            event = Event(self.command, self.path, Headers(self.headers.items()), body)
            answer = Answer(self.call(event))
        except Exception:
            traceback.print_exc()
            answer = Answer(("Internal Server Error\n", 500))
        self.answer(answer)

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self.read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise BadRequest("the content length is negative")
        body = self.rfile.read(length)
        if len(body) < length:
            raise BadRequest("the body ends early")
        return body

    def read_chunks(self):
        body = io.BytesIO()
        while True:
            size = int(self.rfile.readline(1026).split(b";")[0].strip() or b"-1", 16)
            if size < 0:
                raise BadRequest("the body ends early")
            if size == 0:
                break
            chunk = self.rfile.read(size)
            if len(chunk) < size or self.rfile.readline(3) not in (b"\r\n", b"\n"):
                raise BadRequest("the body ends early")
            body.write(chunk)
        while self.rfile.readline(65537) not in (b"\r\n", b"\n", b""):
            pass
        return body.getvalue()

    def answer(self, answer):
        whole = isinstance(answer.body, bytes)
        empty = answer.status < 200 or answer.status in (204, 304)
        self.send_response(answer.status)
        for name, value in answer.headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if not empty:
            if whole:
                self.send_header("Content-Length", str(len(answer.body)))
            else:
                self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if empty or self.command == "HEAD":
            return
        if whole:
            self.wfile.write(answer.body)
            return
        try:
            for chunk in answer.body:
                if chunk:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except Exception:
            # The status is sent already: an end without the last chunk is all
            # that tells the client.
            traceback.print_exc()
            self.close_connection = True

    def log_message(self, *_):
        pass  # the watchdog logs requests


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            traceback.print_exc()


def address():
    """Return where the watchdog calls the function."""
    return "127.0.0.1", urlsplit(os.getenv("upstream_url", "")).port or 5000


def pause():
    """Return for how many seconds to go on taking requests after SIGTERM.

    A watchdog that passes the signal on before it refuses requests itself does
    so for healthcheck_interval, or else for write_timeout; fnb's passes it on
    last, and says 0."""
    for name in ("healthcheck_interval", "write_timeout"):
        pause = seconds(os.getenv(name, ""))
        if pause is not None:
            return pause
    return 30


def seconds(text):
    """Return a duration such as 1m30s or 10 in seconds, or None."""
    if text.isdigit():
        return int(text)
    if not re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s))+", text):
        return None
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+)(h|ms|m|s)", text))


def main():
    RequestHandler.call = staticmethod(caller())
    server = Server(address(), RequestHandler)
    signals = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: signals.put(received))

    def drain():
        if signals.get() == signal.SIGTERM:
            try:
                signals.get(timeout=pause())
            except queue.Empty:
                pass
        server.shutdown()

    threading.Thread(target=drain, daemon=True).start()
    server.serve_forever(poll_interval=0.05)
    server.socket.close()
    TRAFFIC.wait_for_end()


if __name__ == "__main__":
    main()
