package fnb;

import java.io.IOException;
import java.io.OutputStream;

/** Collects an answer, and sends it in few pieces: the head and a whole body, or a body in chunks. */
final class Output extends OutputStream {
    private static final byte[] HEX = "0123456789abcdef".getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
    private static final int SIZE = 6; // of a chunk's first line: four digits, CR, LF

    private final OutputStream out;
    private final boolean chunked;
    private byte[] buffer = new byte[1024];
    private int n;
    private boolean open; // takes what a handler writes
    boolean broken; // the watchdog takes nothing any more

    Output(OutputStream out, boolean chunked) {
        this.out = out;
        this.chunked = chunked;
    }

    Output text(String text) {
        int length = text.length();
        room(length);
        for (int i = 0; i < length; i++) {
            buffer[n++] = (byte) text.charAt(i);
        }
        return this;
    }

    /** Adds a whole body, or sends it if it is large. */
    void raw(byte[] body) throws IOException {
        if (body.length > 16384) {
            send();
            out.write(body);
            return;
        }
        room(body.length);
        System.arraycopy(body, 0, buffer, n, body.length);
        n += body.length;
    }

    private void room(int more) {
        if (n + more > buffer.length) {
            buffer = java.util.Arrays.copyOf(buffer, Math.max(buffer.length * 2, n + more));
        }
    }

    void send() throws IOException {
        out.write(buffer, 0, n);
        n = 0;
    }

    /** From here on a handler writes. */
    void begin() {
        buffer = new byte[SIZE + 16384 + 2];
        n = SIZE;
        open = true;
    }

    @Override
    public void write(int b) throws IOException {
        check();
        buffer[n++] = (byte) b;
        if (n == buffer.length - 2) {
            flush();
        }
    }

    @Override
    public void write(byte[] from, int offset, int length) throws IOException {
        check();
        java.util.Objects.checkFromIndexSize(offset, length, from.length);
        while (length > 0) {
            int part = Math.min(length, buffer.length - 2 - n);
            System.arraycopy(from, offset, buffer, n, part);
            n += part;
            offset += part;
            length -= part;
            flush();
        }
    }

    private void check() throws IOException {
        if (!open) {
            throw new IOException("the answer has ended");
        }
    }

    @Override
    public void flush() throws IOException {
        int size = n - SIZE;
        if (!open || size == 0) {
            return;
        }
        int from = SIZE;
        if (chunked) {
            for (int i = 3; i >= 0; i--, size >>= 4) {
                buffer[i] = HEX[size & 15];
            }
            buffer[4] = '\r';
            buffer[5] = '\n';
            buffer[n++] = '\r';
            buffer[n++] = '\n';
            from = 0;
        }
        int to = n;
        n = SIZE;
        try {
            out.write(buffer, from, to - from);
        } catch (IOException e) {
            broken = true;
            throw e;
        }
    }

    /** Sends the rest, and the end. */
    void end() throws IOException {
        flush();
        open = false;
        if (chunked) {
            n = 0;
            text("0\r\n\r\n").send();
        }
    }

    @Override
    public void close() throws IOException {
        flush();
    }
}
