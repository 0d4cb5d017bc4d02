import io
import os
import unittest
from types import SimpleNamespace
from unittest import mock

import handler
import worker


def document(*texts, extra=b""):
    """Return a PDF document with a page for each text."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(texts)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(texts)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for n, text in enumerate(texts):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    out, places = b"%PDF-1.4\n", []
    for n, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (n, body)
    at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, extra, at)


def answer(body, method="POST", **query):
    got = handler.handle(SimpleNamespace(method=method, stream=io.BytesIO(body), query=query), None)
    return got["statusCode"], got["body"]


class HandleTest(unittest.TestCase):
    def test_text(self):
        self.assertEqual(answer(document("Hello")), (200, "Hello\n"))
        self.assertEqual(answer(document("One", "Two")), (200, "One\fTwo\n"))
        self.assertEqual(answer(document("One", "Two"), format="json"), (200, {"pages": ["One", "Two"]}))

    def test_what_is_no_document(self):
        self.assertEqual(answer(b"hello")[0], 415)
        self.assertEqual(answer(b"")[0], 415)
        self.assertEqual(answer(document("x"), method="GET")[0], 405)
        self.assertEqual(answer(b"%PDF-1.4\n%%EOF")[0], 422)
        self.assertEqual(answer(document("Hello")[:200])[0], 422)
        self.assertEqual(answer(b"%PDF-" + bytes(handler.LARGEST_BODY))[0], 413)

    def test_pages_and_text_are_bounded(self):
        with mock.patch.object(worker, "MOST_PAGES", 1):
            self.assertIn("has 2 pages", worker.pages(document("One", "Two"))["problem"])
        with mock.patch.object(worker, "MOST_TEXT", 4):
            self.assertIn("more than 4 characters", worker.pages(document("Hello"))["problem"])

    def test_time_and_memory_are_bounded(self):
        script = "import sys; sys.stdin.buffer.read()\n"
        for hostile in ("while True: pass", "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); bytes(1 << 30)"):
            path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "hostile_worker.py")
            with open(path, "w", encoding="utf-8") as f:
                f.write("import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\n" + script + hostile)
            with mock.patch.object(handler, "WORKER", path):
                status, text = answer(document("x"))
                self.assertEqual(status, 422)
                self.assertRegex(text, "takes too (much time or memory|long)")
            os.remove(path)

    def test_settings(self):
        for value in ("0", "601", "x"):
            with mock.patch.dict(os.environ, PDF_SECONDS=value), self.assertRaises(ValueError):
                handler.start()


if __name__ == "__main__":
    unittest.main()
