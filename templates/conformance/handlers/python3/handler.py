import asyncio
import os
import sys
import time
from pathlib import Path

from semver import Version

stream_body = True
fail, hang = os.getenv("CONF_FAIL"), os.getenv("CONF_HANG")
started = "no"

if fail == "load":
    raise Exception("secret-text")


def start():
    global started
    if fail == "start":
        raise Exception("secret-text")
    while hang == "start":
        time.sleep(60)
    started = "yes"


async def stop():
    if fail == "stop":
        raise Exception("secret-text")
    while hang == "stop":
        await asyncio.sleep(60)
    print("stopped", file=sys.stderr)


def ready():
    if fail == "ready":
        raise Exception("secret-text")
    return not Path("/tmp/not-ready").exists()


def handle(event, context):
    _, route, *rest = event.path.split("/")
    name = "/".join(rest)
    text = {"Content-Type": "text/plain; charset=utf-8"}
    if route == "echo":
        return event.body, {"Content-Type": event.headers.get("Content-Type", "")}
    if route == "json":
        return {"a": 1, "b": "ü"}
    if route == "status":
        return "", int(name)
    if route == "header":
        return ",".join(event.headers.getlist(name)), text
    if route == "cookie":
        return event.headers.get("Cookie", ""), text
    if route == "query":
        return "|".join(event.query.getlist(name)), text
    if route == "path":
        return event.path, text
    if route == "method":
        return event.method, text
    if route == "set-cookies":
        return "ok", 200, {"Set-Cookie": ["a=1; Path=/", "b=2; Path=/"], **text}
    if route == "many-headers":
        return str(sum(header.lower().startswith("x-n-") for header in event.headers)), text
    if route == "stream":
        return events(), {"Content-Type": "text/event-stream"}
    if route == "upload":
        return str(sum(len(piece) for piece in event.stream)), text
    if route == "first":
        return next(iter(event.stream)), text
    if route == "throw":
        raise Exception("secret-text")
    if route == "throw-in-stream":
        return broken(), text
    if route == "unsendable":
        return object()
    if route == "async":
        return later("async")
    if route == "started":
        return started, text
    if route == "package":
        return {"statusCode": 200, "body": str(Version.parse(name).compare("1.9.0")), "headers": text}
    if route == "slow":
        time.sleep(int(name) / 1000)
        return "slow", text
    if route == "large":
        return b"x" * int(name), text
    if route == "body-text":
        return event.text, text
    if route == "form":
        return event.form.to_dict(flat=False)
    return "there is nothing here", 404, text


def events():
    yield "data: one\n\n"
    time.sleep(0.4)
    yield "data: two\n\n"


def broken():
    yield "so far"
    raise Exception("secret-text")


async def later(value):
    await asyncio.sleep(0.01)
    return value
