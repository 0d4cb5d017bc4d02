import json
import os
import subprocess
import sys
import threading

LARGEST_BODY = 16 << 20
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")

stream_body = True  # so that the handler can stop reading

# As many documents are read at the same time as there are processors.
working = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))


def seconds():
    return int(os.environ.get("PDF_SECONDS", "20"))


def start():
    """Refuse settings that mean nothing."""
    if not 1 <= seconds() <= 600:
        raise ValueError("PDF_SECONDS is not a number from 1 to 600")


def handle(event, context):
    """Answer with the text of the PDF document in the body."""
    if event.method not in ("POST", "PUT"):
        return refused(405, "send a PDF document with POST")
    body = event.stream.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        return refused(413, f"the document has more than {LARGEST_BODY} bytes")
    if b"%PDF-" not in body[:1024]:
        return refused(415, "the body is no PDF document")
    status, result = read(body)
    if status != 200:
        return refused(status, result["problem"])
    if event.query.get("format") == "json":
        return {"statusCode": 200, "body": result}
    text = "\f".join(result["pages"])
    return {"statusCode": 200, "body": text + "\n", "headers": {"Content-Type": "text/plain; charset=utf-8"}}


def read(body):
    """Read a document in a process of its own, which has bounds.

    A document is a program of a kind: one may ask for very much time or memory.
    """
    with working:
        try:
            done = subprocess.run(
                [sys.executable, "-B", WORKER, str(seconds())],
                input=body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds() + 5, check=False,
            )
        except subprocess.TimeoutExpired:
            return 422, {"problem": "reading the document takes too long"}
    if done.returncode != 0:
        return 422, {"problem": "the document takes too much time or memory"}
    result = json.loads(done.stdout)
    return (422 if "problem" in result else 200), result


def refused(status, text):
    return {"statusCode": status, "body": text + "\n", "headers": {"Content-Type": "text/plain; charset=utf-8"}}
