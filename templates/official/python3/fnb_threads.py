"""Serves a handler or an application that is not async: a thread for each connection of the watchdog."""

import errno
import inspect
import queue
import signal
import socket
import threading
import time

from fnb_http import (
    HEAD_LIMIT, READY, Answer, Context, Event, Framing, Refused, Reply, Request, failed, log_error, piece, readiness, refusal,
)


class Gone(Exception):
    """The connection has ended."""


class Stream:
    """The body of a request while it arrives: read it, or go through its pieces."""

    def __init__(self, connection, length):
        self._connection = connection
        self._framing = Framing(length)
        self._rest = b""

    def some(self, most):
        """Return what has arrived, at most so many bytes; none at the end."""
        data = self.next()
        data, self._rest = data[:most], data[most:]
        return data

    def next(self):
        """Return the next piece, which is empty at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        while not self._framing.done:
            data = self._framing.take(self._connection.buffer)
            if data:
                return data
            if not self._framing.done and not self._connection.receive():
                raise Refused(400, "the body ends early")
        return b""

    def __iter__(self):
        return iter(self.next, b"")

    def read(self, size=-1):
        """Return size bytes, or all that are left; less only at the end."""
        if size is None or size < 0:
            return b"".join(self)
        pieces = []
        while size > 0:
            data = self.next()
            if not data:
                break
            pieces.append(data[:size])
            self._rest = data[size:]
            size -= len(pieces[-1])
        return b"".join(pieces)

    whole = read

    @property
    def done(self):
        return self._framing.done


class Connection:
    def __init__(self, server, sock):
        self.server, self.sock, self.buffer = server, sock, bytearray()

    def receive(self):
        try:
            data = self.sock.recv(65536)
        except OSError:
            raise Gone from None
        self.buffer += data
        return data

    def head(self):
        """Return the head of the next request; None at the end of the connection."""
        start = 0
        while True:
            end = self.buffer.find(b"\r\n\r\n", start)
            if end >= 0:
                head = bytes(self.buffer[:end])
                del self.buffer[: end + 4]
                return head
            if len(self.buffer) > HEAD_LIMIT:
                raise Refused(431, "the headers are too long")
            start = max(0, len(self.buffer) - 3)
            if not self.receive():
                return None

    def serve(self):
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self.one():
                pass
            self.linger()
        except (OSError, Gone):
            pass
        except BaseException:
            log_error()
        finally:
            self.sock.close()

    def one(self):
        """Answer one request, and return whether there may be another one."""
        try:
            head = self.head()
            if head is None:
                return False
            with self.server.traffic:
                return self.answer(Request(head))
        except Refused as err:
            answer = refusal(err)
            self.send(Reply(None, answer).head + answer.body)
            return False

    def answer(self, request):
        stream = Stream(self, request.length)
        try:
            answer = self.server.call(request, stream)
        except Refused as err:
            answer = refusal(err)
        except Gone:
            raise
        except BaseException:
            log_error()
            answer = failed()
        if not stream.done:
            request.keep = False  # the rest of a body is not taken for a request
        reply = Reply(request, answer)
        if reply.whole:
            self.send(reply.head if reply.empty else reply.head + answer.body)
        else:
            self.pieces(request, reply, answer.body)
        return reply.keep

    def pieces(self, request, reply, body):
        """Send a body in pieces, the head with the first one. What fails before that is an answer of its own."""
        begun = False
        body = self.server.iterate(body)
        try:
            if not reply.empty:
                for data in body:
                    data = piece(data)
                    if data:
                        part = reply.part(data)
                        self.send(part if begun else reply.head + part)
                        begun = True
            end = b"" if reply.empty else reply.end()
            self.send(end if begun else reply.head + end)
        except Gone:
            raise
        except BaseException:
            log_error()
            if begun:
                raise Gone from None  # an end without the last chunk is all that tells the client
            answer = failed()
            reply = Reply(request, answer)
            self.send(reply.head + answer.body)
        finally:
            if hasattr(body, "close"):
                try:
                    body.close()
                except BaseException:
                    log_error()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Gone from None

    def linger(self):
        """End the connection so that its last answer is not lost with what is unread."""
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(2)
        left = 64 << 20
        try:
            while left > 0:
                data = self.sock.recv(65536)
                if not data:
                    return
                left -= len(data)
        except OSError:
            pass


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
            if not self.open:
                self.changed.notify_all()

    def wait_for_end(self):
        with self.changed:
            self.changed.wait_for(lambda: self.open == 0)


class Background:
    """A loop in a thread of its own, for what turns out to be async. It lives as long as the process."""

    def __init__(self):
        self.lock, self.loop = threading.Lock(), None

    def wait(self, awaitable):
        import asyncio

        import fnb_loop

        with self.lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(target=self.loop.run_forever, daemon=True).start()
        return asyncio.run_coroutine_threadsafe(fnb_loop.guarded(awaitable), self.loop).result()

    def iterate(self, pieces):
        """Go through an async iterator from this thread."""
        end = object()

        async def following():
            try:
                return await pieces.__anext__()
            except StopAsyncIteration:
                return end

        try:
            while True:
                data = self.wait(following())
                if data is end:
                    return
                yield data
        finally:
            if hasattr(pieces, "aclose"):
                self.wait(pieces.aclose())


class Server:
    def __init__(self, handler):
        self.handler, self.traffic, self.background = handler, Traffic(), Background()

    def run(self, life):
        """Go through the life of the process: start, listen, serve until life says to end, stop."""
        life.start(self.hook)
        signals = queue.SimpleQueue()
        for number in life.signals:
            signal.signal(number, lambda received, _: signals.put(received))
        self.listener = socket.create_server(life.address, backlog=1024)
        threading.Thread(target=self.accept, daemon=True).start()
        pause = life.pause(signals.get())
        if pause:
            try:
                signals.get(timeout=pause)
            except queue.Empty:
                pass
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.traffic.wait_for_end()
        life.stop(self.hook)

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError as err:
                if err.errno in (errno.EBADF, errno.EINVAL):
                    return
                time.sleep(0.05)  # such as of too many open files
                continue
            threading.Thread(target=Connection(self, sock).serve, daemon=True).start()

    def hook(self, function):
        value = function()
        return self.background.wait(value) if inspect.isawaitable(value) else value

    def call(self, request, stream):
        """Return the answer to a request."""
        handler = self.handler
        if request.target == READY:
            return self.ready()
        if handler.wsgi is not None:
            import fnb_wsgi

            return fnb_wsgi.answer(handler.wsgi, request, stream)
        value = handler.handle(Event(request, None if handler.streams else stream.read(), stream), Context())
        if not isinstance(value, (str, bytes, dict, tuple)) and inspect.isawaitable(value):
            value = self.background.wait(value)
        if callable(value) or isinstance(value, tuple) and value and callable(value[0]):
            import fnb_wsgi

            return fnb_wsgi.response(value, request, self.background.wait)
        return Answer(value)

    def ready(self):
        try:
            return readiness(self.hook(self.handler.ready) if self.handler.ready else None)
        except BaseException:
            log_error()
            return readiness(False)

    def iterate(self, body):
        return self.background.iterate(body) if hasattr(body, "__anext__") else body
