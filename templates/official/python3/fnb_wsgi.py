"""Calls WSGI applications (PEP 3333), and answers that are ones, such as a Response of Flask."""

import io
import os
import sys
from urllib.parse import unquote_to_bytes, urlsplit

from fnb_http import Answer, content_length, header, status

PORT = str(urlsplit(os.getenv("upstream_url", "")).port or 5000)


class Input(io.RawIOBase):
    """The body of a request as a file."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def readable(self):
        return True

    def readinto(self, into):
        data = self.stream.some(len(into))
        into[: len(data)] = data
        return len(data)


def environ(request, body):
    """Return the environment of a request. A header with an underscore in its name is left out,
    because it would be taken for another one, and so is Proxy, which programs take for a setting."""
    path, query = request.url()
    env = {
        "REQUEST_METHOD": request.method, "SCRIPT_NAME": "", "QUERY_STRING": query,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "REQUEST_URI": request.target, "RAW_URI": request.target,
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": PORT, "SERVER_PROTOCOL": "HTTP/1.1" if request.modern else "HTTP/1.0",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": body, "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        name = name.upper()
        if name in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            env[name.replace("-", "_")] = value
        elif "_" not in name and name != "PROXY":
            env["HTTP_" + name.replace("-", "_")] = value
    return env


class Parts:
    """The body of an application's answer: what it wrote, and then what it returned."""

    def __init__(self, first, rest, body):
        self.first, self.rest, self.body = first, rest, body

    def __iter__(self):
        return self

    def __next__(self):
        return self.first.pop(0) if self.first else next(self.rest)

    def close(self):
        if hasattr(self.body, "close"):
            self.body.close()


def answer(app, request, stream):
    """Return what an application answers to a request."""
    return call(app, request, environ(request, io.BufferedReader(Input(stream), 65536)))


def call(app, request, env):
    begun, first = [], []

    def start_response(line, headers, exc_info=None):
        if exc_info and first:
            raise exc_info[1].with_traceback(exc_info[2])
        begun[:] = [(line, headers)]
        return first.append

    body = app(env, start_response)
    try:
        rest = iter(body)
        while not begun or not first:  # it may start with its first piece
            try:
                data = next(rest)
            except StopIteration:
                break
            if data or not begun:
                first.append(data)
        if not begun:
            raise RuntimeError("the application has not called start_response")
    except BaseException:
        if hasattr(body, "close"):
            body.close()
        raise
    code = status(begun[0][0])
    headers = [header(name, value) for name, value in begun[0][1]]
    length = content_length(headers)
    if isinstance(body, (list, tuple)):
        data = b"".join(first) + b"".join(rest)
        if length is not None and length != len(data) and request.method != "HEAD":
            raise ValueError("the body that the application returned has another length than it says")
        return Answer.raw(code, headers, data, length)
    return Answer.raw(code, headers, Parts(first, rest, body), length)


def response(value, request, wait):
    """Return the answer that an object is which can be called: a WSGI or an ASGI response. It may be the
    first of (response, status, headers)."""
    import inspect

    rest = ()
    if isinstance(value, tuple):
        value, *rest = value
    if isinstance(value, type) or inspect.isroutine(value):
        raise TypeError(f"{value!r} cannot be sent: it is a {type(value).__name__}")
    if inspect.iscoroutinefunction(type(value).__call__):
        import fnb_asgi

        made = wait(fnb_asgi.response(value, request))
    else:
        made = call(value, request, environ(request, io.BytesIO()))
    return changed(made, rest)


def changed(made, rest):
    """Return an answer with the status and headers that stand behind it in a tuple."""
    if rest:
        given = Answer(("", *rest))
        names = {name.lower() for name, _ in given.headers} - {"content-type"}
        if any(isinstance(part, (int, str)) for part in rest):
            made.status = given.status
        made.headers = [(n, v) for n, v in made.headers if n.lower() not in names] + [(n, v) for n, v in given.headers if n.lower() in names]
    return made
