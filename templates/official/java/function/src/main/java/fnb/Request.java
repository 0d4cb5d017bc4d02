package fnb;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URLDecoder;
import java.nio.charset.Charset;
import java.nio.charset.IllegalCharsetNameException;
import java.nio.charset.StandardCharsets;
import java.nio.charset.UnsupportedCharsetException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;

/** A call of the function. Names of headers are equal in upper and lower case. */
public final class Request {
    /** What a body in gzip may unpack to in {@link #text}, in bytes. */
    public static final int LARGEST_TEXT = 64 << 20;

    private final String method;
    private final String target;
    private final List<String> fields;
    private final InputStream body;
    private byte[] bytes;
    private Map<String, List<String>> query;

    Request(String method, String target, List<String> fields, InputStream body) {
        this.method = method;
        this.target = target;
        this.fields = fields;
        this.body = body;
    }

    /** Begins a request for a test. The target is a path, with a query or without. */
    public static Builder builder(String method, String target) {
        return new Builder(method, target);
    }

    /** Returns a GET for a test. */
    public static Request get(String target) {
        return builder("GET", target).build();
    }

    /** Returns a POST for a test. */
    public static Request post(String target, String body) {
        return builder("POST", target).body(body).build();
    }

    /** Returns the method in the letters that came. */
    public String method() {
        return method;
    }

    /** Returns the path as it came, such as {@code /a%2Fb}. */
    public String path() {
        int end = target.indexOf('?');
        return end < 0 ? target : target.substring(0, end);
    }

    /** Returns what stands behind the question mark as it came; empty without one. */
    public String rawQuery() {
        int end = target.indexOf('?');
        return end < 0 ? "" : target.substring(end + 1);
    }

    /** Returns all parameters of the query, decoded, in their order. */
    public Map<String, List<String>> query() {
        if (query == null) {
            query = parse(rawQuery());
        }
        return query;
    }

    /** Returns the first value of a parameter of the query. */
    public Optional<String> query(String name) {
        return queries(name).stream().findFirst();
    }

    /** Returns all values of a parameter of the query. */
    public List<String> queries(String name) {
        return query().getOrDefault(name, List.of());
    }

    /** Returns all headers. */
    public Map<String, List<String>> headers() {
        return map(fields);
    }

    /** Returns the first value of a header. */
    public Optional<String> header(String name) {
        for (int i = 0; i < fields.size(); i += 2) {
            if (fields.get(i).equalsIgnoreCase(name)) {
                return Optional.of(fields.get(i + 1));
            }
        }
        return Optional.empty();
    }

    /** Returns all values of a header. */
    public List<String> headers(String name) {
        return all(fields, name);
    }

    /** Returns the body as it comes. It can be read once. */
    public InputStream stream() {
        return bytes == null ? body : new ByteArrayInputStream(bytes);
    }

    /** Returns the whole body. */
    public byte[] bytes() {
        if (bytes == null) {
            try {
                bytes = body.readAllBytes();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return bytes;
    }

    /**
     * Returns the whole body as text: unpacked if it is in gzip, and decoded as its content type
     * says, or else as UTF-8. A byte order mark is left out.
     */
    public String text() {
        String text = new String(unpacked(), charset());
        return text.startsWith("\uFEFF") ? text.substring(1) : text;
    }

    /** Returns the fields of a form as browsers send it, {@code application/x-www-form-urlencoded}. */
    public Map<String, List<String>> form() {
        return parse(text());
    }

    private byte[] unpacked() {
        String encoding = header("Content-Encoding").orElse("").trim();
        if (!encoding.equalsIgnoreCase("gzip") && !encoding.equalsIgnoreCase("x-gzip")) {
            return bytes();
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] piece = new byte[8192];
        try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes()))) {
            for (int n = in.read(piece); n >= 0; n = in.read(piece)) {
                out.write(piece, 0, n);
                if (out.size() > LARGEST_TEXT) {
                    throw new RequestException(413, "the body unpacks to more than " + LARGEST_TEXT + " bytes");
                }
            }
        } catch (IOException e) {
            throw new RequestException(400, "the body is no gzip");
        }
        return out.toByteArray();
    }

    private Charset charset() {
        String type = header("Content-Type").orElse("").toLowerCase(Locale.ROOT);
        int at = type.indexOf("charset=");
        if (at < 0) {
            return StandardCharsets.UTF_8;
        }
        String name = type.substring(at + "charset=".length()).split(";", 2)[0].replace("\"", "").trim();
        try {
            return Charset.forName(name);
        } catch (IllegalCharsetNameException | UnsupportedCharsetException e) {
            throw new RequestException(415, "nobody here knows the charset of the body");
        }
    }

    static Map<String, List<String>> parse(String text) {
        Map<String, List<String>> all = new LinkedHashMap<>();
        for (String pair : text.split("&")) {
            if (!pair.isEmpty()) {
                int at = pair.indexOf('=');
                String name = decode(at < 0 ? pair : pair.substring(0, at));
                all.computeIfAbsent(name, n -> new ArrayList<>()).add(at < 0 ? "" : decode(pair.substring(at + 1)));
            }
        }
        return Collections.unmodifiableMap(all);
    }

    private static String decode(String text) {
        try {
            return URLDecoder.decode(text, StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            return text; // a percent sign that begins nothing
        }
    }

    /** Returns names and values in turn as a map. */
    static Map<String, List<String>> map(List<String> fields) {
        Map<String, List<String>> all = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (int i = 0; i < fields.size(); i += 2) {
            all.computeIfAbsent(fields.get(i), n -> new ArrayList<>()).add(fields.get(i + 1));
        }
        return Collections.unmodifiableMap(all);
    }

    static List<String> all(List<String> fields, String name) {
        List<String> values = new ArrayList<>();
        for (int i = 0; i < fields.size(); i += 2) {
            if (fields.get(i).equalsIgnoreCase(name)) {
                values.add(fields.get(i + 1));
            }
        }
        return values;
    }

    /** Makes a request for a test. */
    public static final class Builder {
        private final String method;
        private final String target;
        private final List<String> fields = new ArrayList<>();
        private InputStream body = InputStream.nullInputStream();

        private Builder(String method, String target) {
            this.method = method;
            this.target = target;
        }

        /** Adds a value of a header. */
        public Builder header(String name, String value) {
            fields.add(name);
            fields.add(value);
            return this;
        }

        /** Sets the body to text in UTF-8. */
        public Builder body(String text) {
            return body(text.getBytes(StandardCharsets.UTF_8));
        }

        /** Sets the body. */
        public Builder body(byte[] bytes) {
            return body(new ByteArrayInputStream(bytes));
        }

        /** Sets the body to what comes from a stream. */
        public Builder body(InputStream stream) {
            this.body = stream;
            return this;
        }

        /** Returns the request. */
        public Request build() {
            return new Request(method, target, fields, body);
        }
    }
}
