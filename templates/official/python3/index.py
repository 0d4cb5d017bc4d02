"""Serves the function on the loopback interface, where the watchdog calls it.

It needs the standard library alone: the watchdog in front speaks HTTP to the
world, so that this server has one well-behaved client, and an image has no
package that its function did not ask for. A handler that is not async is
served by fnb_threads.py, one that is by fnb_loop.py."""

import os
import re
import signal
import sys
import threading
import traceback
from types import FunctionType
from urllib.parse import urlsplit

HOOK_LIMIT = 10  # seconds


class Handler:
    """What handler.py has: the function or the application that answers, and the hooks."""

    def __init__(self, module):
        self.handle = self.wsgi = self.asgi = None
        self.runs_in_loop = False
        self.start, self.stop, self.ready = (hook(module, name) for name in ("start", "stop", "ready"))
        self.streams = getattr(module, "stream_body", False) is True
        handle = getattr(module, "handle", None)
        if plain(handle):
            self.handle = handle
        else:
            self.choose(module, handle)

    def choose(self, module, handle):
        import fnb_shape

        kind = fnb_shape.of_module(module)
        if kind == "event":
            self.handle, self.runs_in_loop = handle, fnb_shape.runs_in_loop(handle)
        elif kind == "req":
            import fnb_classic

            limit = seconds(os.getenv("exec_timeout", "30s")) or None
            self.handle, self.streams = (lambda event, context: fnb_classic.answer(event, limit)), False
        elif kind == "asgi":
            self.asgi, self.runs_in_loop = module.app, True
        else:
            self.wsgi = module.app


def plain(handle):
    """Return whether handle is a function of two parameters and nothing more, as
    nearly all are. That is told without the modules that tell the others."""
    if type(handle) is not FunctionType or handle.__defaults__ or hasattr(handle, "__wrapped__"):
        return False
    code = handle.__code__
    special = 0x4 | 0x8 | 0x80 | 0x200  # *args, **kwargs, async, an async generator
    return code.co_argcount == 2 and code.co_kwonlyargcount == 0 and not code.co_flags & special


def hook(module, name):
    """Return a module's hook. A function that needs arguments is none."""
    function = getattr(module, name, None)
    if not callable(function) or isinstance(function, type):
        return None
    import inspect

    try:
        inspect.signature(function).bind()
    except TypeError:
        print(f"note: {name} in handler.py is no hook, because it needs arguments", file=sys.stderr)
        return None
    except ValueError:
        return None
    return function


class Life:
    """When the process starts and ends, and what it does then."""

    signals = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, handler):
        self.handler, self.failed = handler, False
        self.address = ("127.0.0.1", urlsplit(os.getenv("upstream_url", "")).port or 5000)

    def pause(self, received):
        """Return for how many seconds to go on taking requests after a signal.

        A watchdog that passes SIGTERM on before it refuses requests itself does
        so for healthcheck_interval, or else for write_timeout; fnb's passes it on
        last, and says 0."""
        if received != signal.SIGTERM:
            return 0
        for name in ("healthcheck_interval", "write_timeout"):
            pause = seconds(os.getenv(name, ""))
            if pause is not None:
                return pause
        return 30

    def start(self, run):
        with Watch("start", self.still_starting):
            if self.handler.start:
                run(self.handler.start)

    async def start_async(self, run):
        with Watch("start", self.still_starting):
            await run()

    def stop(self, run):
        with Watch("stop", self.does_not_stop):
            try:
                if self.handler.stop:
                    run(self.handler.stop)
            except BaseException:
                self.failed = True
                traceback.print_exc()

    async def stop_async(self, run):
        with Watch("stop", self.does_not_stop):
            try:
                await run()
            except BaseException:
                self.failed = True
                traceback.print_exc()

    def still_starting(self, waited):
        print(f"the start hook has not returned for {waited} seconds: the function does not listen yet", file=sys.stderr, flush=True)

    def does_not_stop(self, waited):
        print(f"the stop hook has not returned for {waited} seconds", file=sys.stderr, flush=True)
        os._exit(1)


class Watch:
    """Says so, again and again, while a hook does not return."""

    def __init__(self, name, late):
        self.done, self.late = threading.Event(), late

    def __enter__(self):
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        waited = HOOK_LIMIT
        while not self.done.wait(HOOK_LIMIT):
            self.late(waited)
            waited += HOOK_LIMIT

    def __exit__(self, *_):
        self.done.set()


def seconds(text):
    """Return a duration such as 1m30s or 10 in seconds, or None."""
    if text.isdigit():
        return int(text)
    if not re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s))+", text):
        return None
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+)(h|ms|m|s)", text))


def load():
    """Return handler.py as a module. What lies beside it, or below its src, can be imported by its own name too,
    as it can where its tests run."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "function")
    sys.path += [folder for folder in (here, os.path.join(here, "src")) if os.path.isdir(folder)]
    try:
        from function import handler
    except SystemExit as err:
        traceback.print_exc()
        sys.exit(f"function/handler.py wanted to end the process while it was loaded: SystemExit({err.code!r})")
    return handler


def main():
    handler = Handler(load())
    life = Life(handler)
    if handler.runs_in_loop:
        import fnb_loop as driver
    else:
        import fnb_threads as driver
    try:
        driver.Server(handler).run(life)
    except SystemExit as err:
        traceback.print_exc()
        sys.exit(f"the handler wanted to end the process: SystemExit({err.code!r})")
    sys.exit(1 if life.failed else 0)


if __name__ == "__main__":
    main()
