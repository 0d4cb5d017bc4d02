package fnb;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Speaks HTTP/1 with the watchdog: one request after the other on one connection. */
final class Connection implements Runnable {
    private static final int LARGEST_HEAD = 1 << 20;
    private static final int LINGER_MILLIS = 5000;

    private final Server server;
    private final Socket socket;
    private InputStream in;
    private OutputStream out;
    private byte[] buffer = new byte[8192]; // what has come is between at and end
    private int at;
    private int end;

    private String method;
    private boolean close; // after this answer
    private boolean old; // HTTP/1.0
    private Input body;

    Connection(Server server, Socket socket) {
        this.server = server;
        this.socket = socket;
    }

    @Override
    public void run() {
        boolean working = false;
        try {
            socket.setTcpNoDelay(true);
            in = socket.getInputStream();
            out = socket.getOutputStream();
            while (!close && server.rest(socket, !working)) {
                working = false;
                if (at == end && fill() < 0) {
                    break;
                }
                server.work(socket);
                working = true;
                serve();
            }
            if (working && close) {
                linger();
            }
        } catch (IOException e) {
            // The watchdog has gone: nobody waits for an answer.
        } catch (Throwable t) {
            Main.log("serving a connection: ", t);
        } finally {
            Server.close(socket);
            server.leave(socket, working);
        }
    }

    /** Answers one request. */
    private void serve() throws IOException {
        Request request;
        try {
            request = read();
        } catch (RequestException e) {
            close = true;
            write(refusal(e));
            return;
        }
        if (request.path().equals("/_/ready")) {
            write(ready());
        } else {
            write(answer(request));
        }
    }

    private Response answer(Request request) {
        try {
            Response response = server.handler.handle(request, new Call(server, request));
            if (response != null) {
                return response;
            }
            Main.log("the handler returned null, which is no answer");
        } catch (RequestException e) {
            return refusal(e);
        } catch (Throwable t) {
            if (body.broken) {
                return Response.text("the body ends early\n").withStatus(400);
            }
            Main.log("", t);
        }
        return Response.text("Internal Server Error\n").withStatus(500);
    }

    private static Response refusal(RequestException e) {
        return Response.text(e.getMessage() + "\n").withStatus(e.status());
    }

    private Response ready() {
        try {
            if (server.handler.ready()) {
                return Response.of(200);
            }
            Main.log("the ready hook says no");
        } catch (Throwable t) {
            Main.log("the ready hook failed: ", t);
        }
        return Response.of(503);
    }

    /** Reads the head of a request, and prepares its body. */
    private Request read() throws IOException {
        method = "GET";
        body = new Input(false, 0, false);
        int head = head();
        int line = lineEnd(at, head);
        int space = indexOf((byte) ' ', at, line);
        int second = space < 0 ? -1 : indexOf((byte) ' ', space + 1, line);
        if (second < 0) {
            throw new RequestException(400, "this is no HTTP");
        }
        method = text(at, space);
        String target = text(space + 1, second);
        old = text(second + 1, line).equals("HTTP/1.0");
        close = old;
        List<String> fields = new ArrayList<>(32);
        long length = 0;
        boolean chunked = false;
        boolean expects = false;
        int cookie = -1;
        StringBuilder cookies = new StringBuilder();
        for (int from = next(line); from < head; ) {
            int to = lineEnd(from, head);
            int colon = indexOf((byte) ':', from, to);
            if (colon < 0) {
                break; // the empty line
            }
            String name = text(from, colon);
            String value = text(colon + 1, to).trim();
            from = next(to);
            switch (name.length()) {
                case 6:
                    if (name.equalsIgnoreCase("Cookie")) {
                        if (cookie >= 0) {
                            cookies.append("; ").append(value);
                            continue;
                        }
                        cookie = fields.size() + 1;
                        cookies.append(value);
                    } else if (name.equalsIgnoreCase("Expect")) {
                        expects = value.equalsIgnoreCase("100-continue");
                    }
                    break;
                case 10:
                    if (name.equalsIgnoreCase("Connection")) {
                        close = value.equalsIgnoreCase("close") || old && !value.equalsIgnoreCase("keep-alive");
                    }
                    break;
                case 14:
                    if (name.equalsIgnoreCase("Content-Length")) {
                        length = number(value);
                    }
                    break;
                case 17:
                    if (name.equalsIgnoreCase("Transfer-Encoding")) {
                        chunked = value.equalsIgnoreCase("chunked");
                    }
                    break;
                default:
            }
            fields.add(name);
            fields.add(value);
        }
        if (cookie >= 0) {
            fields.set(cookie, cookies.toString());
        }
        at = head;
        body = new Input(chunked, length, expects && (chunked || length > 0));
        return new Request(method, target, fields, body);
    }

    private static long number(String text) {
        try {
            long n = Long.parseLong(text);
            if (n >= 0) {
                return n;
            }
        } catch (NumberFormatException e) {
            // so does what follows
        }
        throw new RequestException(400, "the content length is no number");
    }

    /** Has the whole head in the buffer, and returns its end. */
    private int head() throws IOException {
        for (int from = at; ; ) {
            for (int i = from; i < end; i++) {
                if (buffer[i] == '\n' && (i > at && buffer[i - 1] == '\n' || i > at + 2 && buffer[i - 1] == '\r' && buffer[i - 2] == '\n')) {
                    return i + 1;
                }
            }
            int seen = end - at;
            if (seen > LARGEST_HEAD) {
                throw new RequestException(431, "the head of the request is too large");
            }
            if (fill() < 0) {
                throw new EOFException("the head ends early");
            }
            from = at + seen;
        }
    }

    /** Reads more into the buffer; -1 at the end. */
    private int fill() throws IOException {
        if (at == end) {
            at = 0;
            end = 0;
        } else if (end == buffer.length) {
            byte[] wider = at > buffer.length / 2 ? buffer : new byte[buffer.length * 2];
            System.arraycopy(buffer, at, wider, 0, end - at);
            buffer = wider;
            end -= at;
            at = 0;
        }
        int n = in.read(buffer, end, buffer.length - end);
        end += Math.max(n, 0);
        return n;
    }

    private int indexOf(byte wanted, int from, int to) {
        for (int i = from; i < to; i++) {
            if (buffer[i] == wanted) {
                return i;
            }
        }
        return -1;
    }

    private int lineEnd(int from, int to) {
        int i = indexOf((byte) '\n', from, to);
        return i > from && buffer[i - 1] == '\r' ? i - 1 : i;
    }

    private int next(int lineEnd) {
        return buffer[lineEnd] == '\r' ? lineEnd + 2 : lineEnd + 1;
    }

    private String text(int from, int to) {
        return new String(buffer, from, to - from, StandardCharsets.ISO_8859_1);
    }

    /** Sends an answer. */
    private void write(Response response) throws IOException {
        body.skipWhatHasCome();
        close |= !body.done();
        int status = response.status();
        boolean empty = status == 204 || status == 304;
        byte[] whole = response.whole();
        boolean head = method.equals("HEAD");
        close |= old && whole == null;
        Output output = new Output(out, !old);
        output.text("HTTP/1.1 ").text(Integer.toString(status)).text(" \r\n");
        boolean length = false;
        for (int i = 0; i < response.fields().size(); i += 2) {
            String name = response.fields().get(i);
            boolean own = name.equalsIgnoreCase("Content-Length");
            if (own ? head : !name.equalsIgnoreCase("Transfer-Encoding") && !name.equalsIgnoreCase("Connection")) {
                length |= own;
                output.text(name).text(": ").text(response.fields().get(i + 1)).text("\r\n");
            }
        }
        if (!empty && whole != null && !length) {
            output.text("Content-Length: ").text(Integer.toString(whole.length)).text("\r\n");
        } else if (!empty && whole == null && !head && !old) {
            output.text("Transfer-Encoding: chunked\r\n");
        }
        output.text(close ? "Connection: close\r\n\r\n" : "\r\n");
        if (empty || head) {
            output.send();
        } else if (whole != null) {
            output.raw(whole);
            output.send();
        } else {
            output.send();
            stream(response, output);
        }
        close |= !body.done();
    }

    /** Sends a body while it is written. */
    private void stream(Response response, Output output) throws IOException {
        output.begin();
        try {
            response.stream().writeTo(output);
        } catch (Throwable t) {
            close = true;
            if (!output.broken) {
                Main.log("", t);
            }
            // An end without the last chunk is all that tells the caller.
            socket.setSoLinger(true, 0);
            throw new EOFException("the answer ends early");
        }
        output.end();
    }

    /** Lets the watchdog read the answer to a request whose body it is still sending. */
    private void linger() throws IOException {
        if (body == null || body.done()) {
            return;
        }
        socket.shutdownOutput();
        socket.setSoTimeout(LINGER_MILLIS);
        long until = System.nanoTime() + LINGER_MILLIS * 1_000_000L;
        try {
            do {
                at = end;
            } while (fill() >= 0 && System.nanoTime() < until);
        } catch (SocketTimeoutException e) {
            // it had its time
        }
    }

    private static final class Call implements Context {
        private final Server server;
        private final Request request;

        Call(Server server, Request request) {
            this.server = server;
            this.request = request;
        }

        @Override
        public String hostname() {
            return server.hostname;
        }

        @Override
        public String callId() {
            return request.header("X-Call-Id").orElse("");
        }
    }

    /** The body of a request. */
    private final class Input extends InputStream {
        private final boolean chunked;
        private long left; // of the body, or of the chunk
        private boolean started;
        private boolean ended;
        private boolean expects;
        boolean broken;

        Input(boolean chunked, long length, boolean expects) {
            this.chunked = chunked;
            this.left = chunked ? 0 : length;
            this.ended = !chunked && length == 0;
            this.expects = expects;
        }

        boolean done() {
            return ended;
        }

        /** Skips a rest that is in the buffer already. */
        void skipWhatHasCome() throws IOException {
            while (!ended && !expects && at < end && (chunked || left <= end - at)) {
                if (chunked && left > 0 && left > end - at || chunked && left == 0 && indexOf((byte) '\n', at, end) < 0) {
                    return;
                }
                if (read(new byte[8192], 0, 8192) < 0) {
                    return;
                }
            }
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int available() {
            return (int) Math.min(left, end - at);
        }

        @Override
        public int read(byte[] to, int offset, int most) throws IOException {
            if (most == 0) {
                return 0;
            }
            if (ended) {
                return -1;
            }
            if (expects) {
                expects = false;
                out.write("HTTP/1.1 100 Continue\r\n\r\n".getBytes(StandardCharsets.ISO_8859_1));
            }
            if (chunked && left == 0 && !chunk()) {
                return -1;
            }
            int n = (int) Math.min(most, left);
            if (at < end) {
                n = Math.min(n, end - at);
                System.arraycopy(buffer, at, to, offset, n);
                at += n;
            } else if ((n = in.read(to, offset, n)) < 0) {
                throw early();
            }
            left -= n;
            ended = left == 0 && !chunked;
            return n;
        }

        /** Reads the size of the next chunk; false at the end. */
        private boolean chunk() throws IOException {
            if (started && !line().isEmpty()) {
                throw early();
            }
            started = true;
            String size = line().split(";", 2)[0].trim();
            try {
                left = Long.parseLong(size, 16);
            } catch (NumberFormatException e) {
                throw early();
            }
            if (left < 0) {
                throw early();
            }
            if (left == 0) {
                while (!line().isEmpty()) {
                    // a trailer
                }
                ended = true;
            }
            return left > 0;
        }

        private String line() throws IOException {
            for (int from = at; ; ) {
                int to = indexOf((byte) '\n', from, end);
                if (to >= 0) {
                    String line = text(at, to > at && buffer[to - 1] == '\r' ? to - 1 : to);
                    at = to + 1;
                    return line;
                }
                int seen = end - at;
                if (seen > LARGEST_HEAD || fill() < 0) {
                    throw early();
                }
                from = at + seen;
            }
        }

        private IOException early() {
            broken = true;
            return new EOFException("the body ends early");
        }
    }
}
