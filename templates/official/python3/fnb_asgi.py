"""Calls ASGI applications, and answers that are ones, such as a Response of Starlette."""

import asyncio
import sys
from urllib.parse import unquote

from fnb_http import Answer, content_length, header, log_error

VERSIONS = {"version": "3.0", "spec_version": "2.3"}


def scope(request, connection=None, state=None):
    path, query = request.url()
    found = {
        "type": "http", "asgi": VERSIONS, "http_version": "1.1" if request.modern else "1.0", "method": request.method,
        "scheme": "http", "path": unquote(path), "raw_path": path.encode("latin-1"), "query_string": query.encode("latin-1"),
        "root_path": "", "headers": headers(request), "client": None, "server": None,
    }
    if connection is not None:
        found["client"], found["server"] = connection.ends
    if state is not None:
        found["state"] = state.copy()
    return found


def headers(request):
    """Return the headers as pairs. The lines of Cookie are one, as applications look for the first."""
    pairs, cookie = [], request.headers.getlist("Cookie") if "Cookie" in request.headers else ()
    for name, value in request.pairs:
        low = name.lower()
        if low != "cookie" or len(cookie) == 1:
            pairs.append((low.encode("latin-1"), value.encode("latin-1")))
    if len(cookie) > 1:
        pairs.append((b"cookie", "; ".join(cookie).encode("latin-1")))
    return pairs


def begun(message):
    """Return status, headers and content length of an answer's first message."""
    fields = [header(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
    return message["status"], fields, content_length(fields)


class Exchange:
    """One request, and the answer that the application sends to it."""

    def __init__(self, request, stream, connection):
        self.request, self.stream, self.connection = request, stream, connection
        self.start = self.writing = None
        self.ended = False  # the answer is whole
        self.over = asyncio.Event()  # nothing more will be sent
        self.left = asyncio.Event()  # nobody waits for more

    async def run(self, app, state):
        """Call the application, which may go on when its answer has ended."""
        try:
            await app(scope(self.request, self.connection, state), self.receive, self.send)
            if not self.ended:
                raise RuntimeError("the application has ended without a whole answer")
        except BaseException:
            if not self.connection.gone:
                log_error()
        finally:
            self.over.set()
            self.left.set()

    async def receive(self):
        stream = self.stream
        if not stream.done:
            data = await stream.next()
            return {"type": "http.request", "body": data, "more_body": not stream.done}
        if not stream.told:
            stream.told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self.connection.gone:
            return
        if message["type"] == "http.response.start" and self.start is None:
            self.start = begun(message)
        elif message["type"] == "http.response.body" and self.start is not None and not self.ended:
            await self.body(bytes(message.get("body", b"")), message.get("more_body", False))
        else:
            raise RuntimeError(f"the application sent {message['type']!r} where it has no meaning")
        if self.ended:
            self.over.set()
            self.left.set()

    async def body(self, data, more):
        code, fields, length = self.start
        if self.writing is None and not more:
            if length not in (None, len(data)) and self.request.method != "HEAD":
                raise ValueError("the body has another length than the application said")
            self.ended = True
            await self.connection.whole(self.request, self.stream, Answer.raw(code, fields, data, length))
            return
        if self.writing is None:
            self.writing = self.connection.begin(self.request, self.stream, Answer.raw(code, fields, None, length))
        await self.writing.send(data)
        if not more:
            await self.writing.end()
            self.ended = True


RUNNING = set()  # tasks, which a loop does not keep


async def response(value, request):
    """Return the answer that a response is. What it does behind its last piece goes on."""
    messages = asyncio.Queue(1)

    async def receive():
        await asyncio.get_running_loop().create_future()  # whoever goes away ends the task

    async def run():
        try:
            await value(scope(request), receive, messages.put)
            await messages.put({"type": "ended"})
        except Exception as err:
            await messages.put({"type": "failed", "error": err})

    async def following(kind):
        message = await messages.get()
        if message["type"] == "failed":
            raise message["error"]
        if message["type"] != kind:
            raise RuntimeError("the response has no end")
        return message

    async def pieces(message):
        try:
            while message.get("more_body", False):
                yield bytes(message.get("body", b""))
                message = await following("http.response.body")
            yield bytes(message.get("body", b""))
        except BaseException:
            task.cancel()
            raise

    task = asyncio.ensure_future(run())
    RUNNING.add(task)
    task.add_done_callback(RUNNING.discard)
    code, fields, length = begun(await following("http.response.start"))
    first = await following("http.response.body")
    if first.get("more_body", False):
        return Answer.raw(code, fields, pieces(first), length)
    return Answer.raw(code, fields, bytes(first.get("body", b"")))


class Lifespan:
    """Tells an application that the process starts and stops, if it wants to be told."""

    def __init__(self, app):
        self.app, self.state = app, {}
        self.told, self.said = asyncio.Queue(), asyncio.Queue()
        self.task = None

    async def run(self):
        known = {"type": "lifespan", "asgi": VERSIONS, "state": self.state}
        try:
            await self.app(known, self.told.get, self.said.put)
        except BaseException as err:
            self.said.put_nowait({"type": "ended", "error": err})
        else:
            self.said.put_nowait({"type": "ended", "error": None})

    async def start(self):
        self.task = asyncio.ensure_future(self.run())
        said = await self.tell("startup")
        if said["type"] == "ended":
            self.task = None  # it knows nothing of this

    async def stop(self):
        if self.task is not None:
            await self.tell("shutdown")

    async def tell(self, what):
        self.told.put_nowait({"type": f"lifespan.{what}"})
        said = await self.said.get()
        if said["type"] == f"lifespan.{what}.failed":
            print(said.get("message", ""), file=sys.stderr)
            raise RuntimeError(f"the application's {what} failed")
        return said
