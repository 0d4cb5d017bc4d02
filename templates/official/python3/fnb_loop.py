"""Serves a handler or an application that is async: one loop for all connections of the watchdog."""

import asyncio
import inspect
import socket

from fnb_http import (
    HEAD_LIMIT, READY, Answer, Context, Event, Framing, Refused, Reply, Request, failed, guard, log_error, piece, readiness,
    refusal,
)

FULL = 256 << 10  # of a body that nobody reads


class Gone(Exception):
    """The connection has ended."""


async def guarded(awaitable):
    try:
        return await awaitable
    except BaseException as err:
        guard(err)


async def in_thread(function, *arguments):
    """Call what may block."""

    def run():
        try:
            return function(*arguments)
        except BaseException as err:
            guard(err)

    return await asyncio.get_running_loop().run_in_executor(None, run)


class Stream:
    """The body of a request while it arrives: read it, or go through its pieces."""

    def __init__(self, connection, length):
        self._connection = connection
        self._framing = Framing(length)
        self._rest = b""
        self.told = False  # to an application, that there is no more

    async def next(self):
        """Return the next piece, which is empty at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        while not self._framing.done:
            data = self._framing.take(self._connection.buffer)
            if data:
                self.told = self._framing.done
                return data
            if not self._framing.done and not await self._connection.receive():
                raise Refused(400, "the body ends early")
        return b""

    def __aiter__(self):
        return self

    async def __anext__(self):
        data = await self.next()
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self, size=-1):
        """Return size bytes, or all that are left; less only at the end."""
        pieces, all_of_it = [], size is None or size < 0
        while all_of_it or size > 0:
            data = await self.next()
            if not data:
                break
            if not all_of_it:
                self._rest = data[size:]
                data = data[:size]
                size -= len(data)
            pieces.append(data)
        return b"".join(pieces)

    def whole(self):
        raise RuntimeError("the body is not read yet: write await event.stream.read()")

    @property
    def done(self):
        return self._framing.done


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server, self.buffer = server, bytearray()
        self.waiter = self.drained = None
        self.gone = self.reading_paused = False
        self.exchange = self.reply = None

    # What the loop says.

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.task = asyncio.ensure_future(self.serve())

    def data_received(self, data):
        self.buffer += data
        if len(self.buffer) > FULL and self.waiter is None:
            self.reading_paused = True
            self.transport.pause_reading()
        self.wake()

    def eof_received(self):
        self.end()

    def connection_lost(self, _):
        self.end()

    def pause_writing(self):
        self.drained = asyncio.get_running_loop().create_future()

    def resume_writing(self):
        if self.drained is not None and not self.drained.done():
            self.drained.set_result(None)
        self.drained = None

    def end(self):
        self.gone = True
        if self.exchange is not None:
            self.exchange.left.set()
        self.wake()
        self.resume_writing()

    def wake(self):
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
        self.waiter = None

    @property
    def ends(self):
        return self.transport.get_extra_info("peername"), self.transport.get_extra_info("sockname")

    # What serves.

    async def receive(self):
        """Wait for more, and return whether there is."""
        before = len(self.buffer)
        if not self.gone:
            self.waiter = asyncio.get_running_loop().create_future()
            if self.reading_paused:
                self.reading_paused = False
                self.transport.resume_reading()
            await self.waiter
        return len(self.buffer) > before

    async def head(self):
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
            if not await self.receive():
                return None

    async def serve(self):
        try:
            while await self.one():
                pass
        except Gone:
            pass
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        except BaseException:
            log_error()
        await self.linger()

    async def linger(self):
        """End the connection so that its last answer is not lost with what is unread."""
        try:
            if not self.gone and self.transport.can_write_eof():
                self.transport.write_eof()
                end = asyncio.get_running_loop().time() + 2
                while not self.gone and asyncio.get_running_loop().time() < end:
                    self.buffer.clear()
                    await asyncio.wait_for(self.receive(), 2)
        except (asyncio.TimeoutError, OSError, RuntimeError):
            pass
        finally:
            self.transport.close()

    async def one(self):
        """Answer one request, and return whether there may be another one."""
        try:
            head = await self.head()
            if head is None:
                return False
            with self.server.traffic:
                return await self.answer(Request(head))
        except Refused as err:
            answer = refusal(err)
            await self.send(Reply(None, answer).head + answer.body)
            return False

    async def answer(self, request):
        stream = Stream(self, request.length)
        self.reply = None
        if self.server.handler.asgi is not None and request.target != READY:
            return await self.application(request, stream)
        try:
            answer = await self.server.call(request, stream)
        except (Gone, asyncio.CancelledError):
            raise
        except Refused as err:
            answer = refusal(err)
        except BaseException:
            log_error()
            answer = failed()
        if isinstance(answer.body, bytes):
            await self.whole(request, stream, answer)
        else:
            await self.pieces(request, stream, answer)
        return self.reply.keep

    async def application(self, request, stream):
        import fnb_asgi

        exchange = self.exchange = fnb_asgi.Exchange(request, stream, self)
        asyncio.ensure_future(self.server.application(exchange))
        await exchange.over.wait()
        if self.gone:
            return False
        if not exchange.ended:
            if self.reply is not None:
                self.transport.close()  # an end without the last chunk is all that tells the client
                raise Gone
            await self.whole(request, stream, failed())
        return self.reply.keep

    def begin(self, request, stream, answer):
        if not stream.done:
            request.keep = False  # the rest of a body is not taken for a request
        self.reply = Reply(request, answer)
        return Writing(self)

    async def whole(self, request, stream, answer):
        self.begin(request, stream, answer)
        await self.send(self.reply.head if self.reply.empty else self.reply.head + answer.body)

    async def pieces(self, request, stream, answer):
        """Send a body in pieces, the head with the first one. What fails before that is an answer of its own."""
        writing, body = self.begin(request, stream, answer), answer.body
        try:
            if not self.reply.empty:
                async for data in follow(body):
                    await writing.send(piece(data))
            await writing.end()
        except (Gone, asyncio.CancelledError):
            raise
        except BaseException:
            log_error()
            if writing.begun:
                self.transport.close()
                raise Gone from None  # an end without the last chunk is all that tells the client
            await self.whole(request, stream, failed())
        finally:
            await self.close(body)

    async def close(self, body):
        try:
            if hasattr(body, "aclose"):
                await body.aclose()
            elif hasattr(body, "close"):
                await in_thread(body.close)
        except BaseException:
            log_error()

    async def send(self, data):
        if self.gone:
            raise Gone
        self.transport.write(data)
        if self.drained is not None:
            await self.drained


class Writing:
    """An answer that is sent in pieces."""

    def __init__(self, connection):
        self.connection, self.reply, self.begun = connection, connection.reply, False

    async def send(self, data):
        if data and not self.reply.empty:
            await self._send(self.reply.part(data))

    async def end(self):
        await self._send(b"" if self.reply.empty else self.reply.end())

    async def _send(self, data):
        head, self.begun = b"" if self.begun else self.reply.head, True
        await self.connection.send(head + data)


async def follow(pieces):
    """Go through an iterator of either kind. One that is not async may block, and has a thread."""
    if hasattr(pieces, "__anext__"):
        async for data in pieces:
            yield data
        return
    end = object()
    while True:
        data = await in_thread(next, pieces, end)
        if data is end:
            return
        yield data


class Traffic:
    """Counts the requests that are being served."""

    def __init__(self):
        self.open, self.idle = 0, asyncio.Event()
        self.idle.set()

    def __enter__(self):
        self.open += 1
        self.idle.clear()

    def __exit__(self, *_):
        self.open -= 1
        if not self.open:
            self.idle.set()


class Server:
    def __init__(self, handler):
        self.handler, self.lifespan = handler, None

    def run(self, life):
        asyncio.run(self.serve(life))

    async def serve(self, life):
        """Go through the life of the process: start, listen, serve until life says to end, stop."""
        loop = asyncio.get_running_loop()
        self.traffic = Traffic()
        await life.start_async(self.start)
        signals = asyncio.Queue()
        for number in life.signals:
            loop.add_signal_handler(number, signals.put_nowait, number)
        listener = await loop.create_server(lambda: Connection(self), *life.address, backlog=1024)
        pause = life.pause(await signals.get())
        if pause:
            try:
                await asyncio.wait_for(signals.get(), pause)
            except asyncio.TimeoutError:
                pass
        listener.close()
        await self.traffic.idle.wait()
        await life.stop_async(self.stop)

    async def start(self):
        if self.handler.start:
            await self.hook(self.handler.start)
        if self.handler.asgi is not None:
            import fnb_asgi

            self.lifespan = fnb_asgi.Lifespan(self.handler.asgi)
            await self.lifespan.start()

    async def stop(self):
        if self.lifespan is not None:
            await self.lifespan.stop()
        if self.handler.stop:
            await self.hook(self.handler.stop)

    async def hook(self, function):
        value = function()
        return await value if inspect.isawaitable(value) else value

    async def application(self, exchange):
        with self.traffic:
            await exchange.run(self.handler.asgi, self.lifespan.state)

    async def call(self, request, stream):
        """Return the answer to a request."""
        if request.target == READY:
            return await self.ready()
        body = None if self.handler.streams else await stream.read()
        value = self.handler.handle(Event(request, body, stream), Context())
        while inspect.isawaitable(value):
            value = await value
        if callable(value) or isinstance(value, tuple) and value and callable(value[0]):
            import fnb_wsgi

            loop = asyncio.get_running_loop()
            return await in_thread(fnb_wsgi.response, value, request, lambda a: asyncio.run_coroutine_threadsafe(a, loop).result())
        return Answer(value)

    async def ready(self):
        hook = self.handler.ready
        try:
            value = None
            if hook is not None:
                value = await self.hook(hook) if inspect.iscoroutinefunction(hook) else await in_thread(hook)
            return readiness(value)
        except asyncio.CancelledError:
            raise
        except BaseException:
            log_error()
            return readiness(False)
