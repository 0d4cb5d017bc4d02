package fnb;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The answer to a request. It does not change: the methods that begin with "with" return another one. */
public final class Response {
    /** Writes the body of an answer in pieces. */
    @FunctionalInterface
    public interface Body {
        /**
         * Writes the body. A piece that is written as a whole is sent at once; single bytes are
         * collected until there are many, or {@code flush} is called. If it throws, the error is
         * logged and the connection is cut, so that the caller sees that the end is missing.
         */
        void writeTo(OutputStream out) throws Exception;
    }

    private final int status;
    private final List<String> fields;
    private final byte[] bytes;
    private final Body stream;

    private Response(int status, List<String> fields, byte[] bytes, Body stream) {
        this.status = status;
        this.fields = fields;
        this.bytes = bytes;
        this.stream = stream;
    }

    /** Returns an answer with a status and nothing else. */
    public static Response of(int status) {
        return new Response(check(status), List.of(), new byte[0], null);
    }

    /** Returns text in UTF-8. */
    public static Response text(String text) {
        return bytes("text/plain; charset=utf-8", text.getBytes(StandardCharsets.UTF_8));
    }

    /** Returns JSON, which the handler has written with the library of its choice. */
    public static Response json(String json) {
        return bytes("application/json", json.getBytes(StandardCharsets.UTF_8));
    }

    /** Returns JSON, as a library writes it to bytes. */
    public static Response json(byte[] json) {
        return bytes("application/json", json);
    }

    /** Returns bytes without a meaning of their own. */
    public static Response bytes(byte[] bytes) {
        return bytes("application/octet-stream", bytes);
    }

    /** Returns bytes of a content type. */
    public static Response bytes(String contentType, byte[] bytes) {
        return new Response(200, List.of("Content-Type", checkValue(contentType)), bytes, null);
    }

    /** Returns a body that is sent while it is written. */
    public static Response stream(String contentType, Body body) {
        return new Response(200, List.of("Content-Type", checkValue(contentType)), null, body);
    }

    /** Returns a body that is sent while it is read, and closed afterwards. */
    public static Response stream(String contentType, InputStream body) {
        return stream(contentType, new Copy(body));
    }

    /** Returns the same answer with another status. */
    public Response withStatus(int status) {
        return new Response(check(status), fields, bytes, stream);
    }

    /**
     * Returns the same answer with one value more of a header; of Content-Type, which has one
     * value, with another value.
     */
    public Response withHeader(String name, String value) {
        checkName(name);
        checkValue(value);
        List<String> more = new ArrayList<>(fields.size() + 2);
        boolean replace = name.equalsIgnoreCase("Content-Type");
        for (int i = 0; i < fields.size(); i += 2) {
            if (!replace || !fields.get(i).equalsIgnoreCase(name)) {
                more.add(fields.get(i));
                more.add(fields.get(i + 1));
            }
        }
        more.add(name);
        more.add(value);
        return new Response(status, more, bytes, stream);
    }

    /** Returns the status. */
    public int status() {
        return status;
    }

    /** Returns all headers. */
    public Map<String, List<String>> headers() {
        return Request.map(fields);
    }

    /** Returns the first value of a header. */
    public Optional<String> header(String name) {
        return headers(name).stream().findFirst();
    }

    /** Returns all values of a header. */
    public List<String> headers(String name) {
        return Request.all(fields, name);
    }

    /** Returns the body, for a test. Of a stream it is what is written until its end. */
    public byte[] bytes() {
        if (stream == null) {
            return bytes.clone();
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            stream.writeTo(out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        return out.toByteArray();
    }

    /** Returns the body as text in UTF-8, for a test. */
    public String text() {
        return new String(bytes(), StandardCharsets.UTF_8);
    }

    List<String> fields() {
        return fields;
    }

    byte[] whole() {
        return bytes;
    }

    Body stream() {
        return stream;
    }

    static int check(int status) {
        if (status < 200 || status > 599) {
            throw new IllegalArgumentException(status + " is no status of an answer: it is between 200 and 599");
        }
        return status;
    }

    private static void checkName(String name) {
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c <= ' ' || c >= 127 || "\"(),/:;<=>?@[\\]{}".indexOf(c) >= 0) {
                throw new IllegalArgumentException("the name of a header cannot have the character " + (int) c + " in it");
            }
        }
        if (name.isEmpty()) {
            throw new IllegalArgumentException("a header has no name");
        }
    }

    private static String checkValue(String value) {
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c < ' ' && c != '\t' || c == 127 || c > 255) {
                throw new IllegalArgumentException("the value of a header cannot have the character " + (int) c + " in it");
            }
        }
        return value;
    }

    private static final class Copy implements Body {
        private final InputStream in;

        Copy(InputStream in) {
            this.in = in;
        }

        @Override
        public void writeTo(OutputStream out) throws IOException {
            try (InputStream from = in) {
                byte[] piece = new byte[16384];
                for (int n = from.read(piece); n >= 0; n = from.read(piece)) {
                    out.write(piece, 0, n);
                }
            }
        }
    }
}
