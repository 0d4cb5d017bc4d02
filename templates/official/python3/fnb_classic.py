"""Answers requests with handle(req), each in a process of its own, as OpenFaaS's
classic python3 does: what it prints is in the answer, it finds the request in
variables such as Http_Query, and may exit."""

import json
import os
import signal
import subprocess
import sys


def answer(event, limit):
    """Return what the process answers to an event: body, status and headers.

    limit is for how many seconds it may run; None is for ever."""
    head_in, head_out = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, __file__, str(head_out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            pass_fds=[head_out], env=environment(event),
        )
    except BaseException:
        os.close(head_in)
        raise
    finally:
        os.close(head_out)
    with os.fdopen(head_in, "rb") as pipe, process:
        try:
            body, _ = process.communicate(event.body, timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            print(f"the function was ended after {limit} seconds", file=sys.stderr)
            return "Gateway Timeout\n", 504
        head = pipe.read()
    if process.returncode != 0:
        print(f"the function ended with exit code {process.returncode}", file=sys.stderr)
        return body or b"Internal Server Error\n", 500, kind(event)
    status, headers = json.loads(head) if head else (200, None)
    return body, status, headers if headers is not None else kind(event)


def kind(event):
    """Return the content type as OpenFaaS's classic watchdog has it: what
    content_type says, or else the request's."""
    text = os.getenv("content_type") or event.headers.get("Content-Type") or "text/html; charset=utf-8"
    return {"Content-Type": text}


def environment(event):
    """Return the environment with the request in it. A header called Proxy is left
    out, because programs take Http_Proxy for the address of a proxy."""
    env = dict(os.environ)
    for name, value in event.headers.items():
        if name.lower() != "proxy":
            env["Http_" + name.title().replace("-", "_")] = value
    env.update(Http_Method=event.method, Http_Path=event.path.replace("\0", ""), Http_Content_Length=str(len(event.body)))
    if event.query_string:
        env["Http_Query"] = event.query_string
    return env


def run(head):
    """Call handle with what is on the standard input."""
    import asyncio
    import inspect

    from function import handler

    body = sys.stdin.buffer.read()
    value = handler.handle(body if os.getenv("RAW_BODY", "").lower() in ("true", "1") else body.decode(errors="replace"))
    if inspect.isawaitable(value):
        value = asyncio.run(resolve(value))
    sys.stdout.flush()
    if isinstance(value, tuple):
        from fnb_http import Answer

        value = Answer(value)
        os.write(head, json.dumps([value.status, value.headers]).encode())
        value = value.body
    elif isinstance(value, (dict, list)):
        value = json.dumps(value)
    if isinstance(value, (bytes, bytearray)):
        sys.stdout.buffer.write(value)
    elif value is not None and not isinstance(value, str) and hasattr(value, "__iter__"):
        for part in value:
            sys.stdout.buffer.write(part if isinstance(part, bytes) else str(part).encode())
    elif value is not None:
        sys.stdout.buffer.write(str(value).encode())
    sys.stdout.flush()


async def resolve(value):
    return await value


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run(int(sys.argv[1]))
