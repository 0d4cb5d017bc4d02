import csv
import io

DELIMITERS = ",;\t|"
LARGEST_BODY = 16 << 20

stream_body = True  # so that the handler can stop reading


class BadTable(Exception):
    status = 400


class TooLarge(BadTable):
    status = 413


def handle(event, context):
    """Answer with the table in the body as a list of objects."""
    try:
        body = event.stream.read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            raise TooLarge(f"the table has more than {LARGEST_BODY} bytes")
        return {"statusCode": 200, "body": rows(body, event.query.get("delimiter"))}
    except BadTable as err:
        return {"statusCode": err.status, "body": f"{err}\n", "headers": {"Content-Type": "text/plain; charset=utf-8"}}


def rows(body, delimiter=None):
    """Return the rows of a table as dicts."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise BadTable(f"the table is not UTF-8: {err.reason} at byte {err.start}") from None
    if delimiter is None:
        first = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=first.count)
    elif len(delimiter) != 1 or delimiter in '\r\n"':
        raise BadTable("the delimiter is one character, and neither a quote nor a line end")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey=None, strict=True)
    table = []
    try:
        names = reader.fieldnames or []
        if len(set(names)) < len(names):
            raise BadTable("the first line has a name twice")
        for row in reader:
            if None in row:
                raise BadTable(f"line {reader.line_num} has more fields than the first line")
            table.append(row)
    except csv.Error as err:
        raise BadTable(f"line {reader.line_num}: {err}") from None
    return table
