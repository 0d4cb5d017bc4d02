"""Reads a PDF document from standard input, within bounds, and writes its text as JSON."""

import io
import json
import resource
import sys

MEMORY = 768 << 20
MOST_PAGES = 500
MOST_TEXT = 4 << 20


def pages(data):
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"problem": "the document wants a password"}
        count = len(reader.pages)
        if count > MOST_PAGES:
            return {"problem": f"the document has {count} pages, and at most {MOST_PAGES} are read"}
        texts, length = [], 0
        for page in reader.pages:
            texts.append(page.extract_text())
            length += len(texts[-1])
            if length > MOST_TEXT:
                return {"problem": f"the document has more than {MOST_TEXT} characters"}
        return {"pages": texts}
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, NotImplementedError, OSError):
        return {"problem": "the document is damaged"}


if __name__ == "__main__":
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    json.dump(pages(sys.stdin.buffer.read()), sys.stdout)
