import json
import math
import os

import jmespath
from jmespath.exceptions import JMESPathError

LARGEST_BODY = 256 << 10
LARGEST_ANSWER = 4 << 20
LONGEST_QUERY = 500
LARGEST_GROWTH = 64

stream_body = True  # so that the handler can stop reading


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def start():
    """Check the query that the function always answers with, if there is one."""
    if fixed := os.environ.get("JSON_QUERY"):
        compiled(fixed)


def handle(event, context):
    """Answer with what a query takes out of the JSON in the body."""
    try:
        return text(200, answer(event), "application/json")
    except Refused as err:
        return text(err.status, f"{err}\n", "text/plain; charset=utf-8")


def text(status, body, kind):
    return {"statusCode": status, "body": body, "headers": {"Content-Type": kind}}


def answer(event):
    if event.method not in ("POST", "PUT"):
        raise Refused(405, "send JSON with POST")
    fixed, asked = os.environ.get("JSON_QUERY"), event.query.get("query")
    if fixed and asked:
        raise Refused(400, "this function has a query of its own")
    query = compiled(fixed or asked or "@")
    document = parsed(event.stream.read(LARGEST_BODY + 1))
    try:
        result = query.search(document)
    except JMESPathError as err:
        raise Refused(422, f"the query does not fit the JSON: {err}") from None
    except RecursionError:
        raise Refused(422, "the query or the JSON is too deep") from None
    return written(result)


def parsed(body):
    if len(body) > LARGEST_BODY:
        raise Refused(413, f"the body has more than {LARGEST_BODY} bytes")
    try:
        return json.loads(body, parse_constant=no_number)
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None
    except RecursionError:
        raise Refused(400, "the JSON is too deep") from None
    except ValueError as err:
        raise Refused(400, f"the body is not JSON: {err}") from None


def no_number(name):
    raise ValueError(f"{name} is no number in JSON")


def compiled(expression):
    if len(expression) > LONGEST_QUERY:
        raise Refused(400, f"the query has more than {LONGEST_QUERY} characters")
    try:
        query = jmespath.compile(expression)
        if growth(query.parsed) > LARGEST_GROWTH:
            raise Refused(400, "the query makes too much out of its input")
    except JMESPathError as err:
        raise Refused(400, f"the query is no JMESPath: {err}") from None
    except RecursionError:
        raise Refused(400, "the query is too deep") from None
    return query


def growth(node):
    """Return how many times as large as its input what a query makes can be, about.

    [@, @] doubles it, and so does each that follows. A text is made by join and
    to_string, which repeat what is between, and backslashes.
    """
    parts = [growth(child) for child in node.get("children", []) if isinstance(child, dict)]
    if node["type"] in ("multi_select_list", "multi_select_dict"):
        return max(sum(parts), 1)
    if node["type"] == "function_expression":
        return max(sum(parts), 1) * (8 if node["value"] in ("join", "to_string") else 1)
    return math.prod(parts)


def written(result):
    pieces, length = [], 0
    try:
        for piece in json.JSONEncoder(ensure_ascii=False).iterencode(result):
            pieces.append(piece)
            length += len(piece)
            if length > LARGEST_ANSWER:
                raise Refused(422, f"the answer has more than {LARGEST_ANSWER} characters")
    except RecursionError:
        raise Refused(422, "the answer is too deep") from None
    return "".join(pieces) + "\n"
