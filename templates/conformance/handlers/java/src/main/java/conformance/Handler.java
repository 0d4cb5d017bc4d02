package conformance;

import com.fasterxml.jackson.core.Version;
import com.fasterxml.jackson.core.util.VersionUtil;
import com.fasterxml.jackson.databind.ObjectMapper;
import fnb.Context;
import fnb.Request;
import fnb.Response;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** The routes of the conformance table. */
public class Handler implements fnb.Handler {
    private static final ObjectMapper JSON = new ObjectMapper();

    record Answer(int a, String b) {}

    private String started = "no";

    public Handler() {
        failOrHang("load");
    }

    @Override
    public void start() {
        failOrHang("start");
        started = "yes";
    }

    @Override
    public void stop() {
        failOrHang("stop");
        System.err.println("stopped");
    }

    @Override
    public boolean ready() {
        failOrHang("ready");
        return !Files.exists(Path.of("/tmp/not-ready"));
    }

    @Override
    public Response handle(Request request, Context context) throws Exception {
        String[] parts = request.path().split("/", 3);
        String rest = parts.length > 2 ? parts[2] : "";
        return switch (parts[1]) {
            case "echo" -> Response.bytes(request.header("Content-Type").orElse("text/plain"), request.bytes());
            case "json" -> Response.json(JSON.writeValueAsBytes(new Answer(1, "ü")));
            case "status" -> Response.of(Integer.parseInt(rest));
            case "header" -> Response.text(String.join(",", request.headers(rest)));
            case "cookie" -> Response.text(request.header("Cookie").orElse(""));
            case "query" -> Response.text(String.join("|", request.queries(rest)));
            case "path" -> Response.text(request.path());
            case "method" -> Response.text(request.method());
            case "set-cookies" -> Response.text("ok").withHeader("Set-Cookie", "a=1; Path=/").withHeader("Set-Cookie", "b=2; Path=/");
            case "many-headers" -> Response.text("" + request.headers().keySet().stream().filter(n -> n.toLowerCase().startsWith("x-n-")).count());
            case "stream" -> Response.stream("text/event-stream", Handler::events);
            case "upload" -> Response.text("" + count(request.stream()));
            case "first" -> Response.bytes(first(request.stream()));
            case "throw" -> throw new IllegalStateException("secret-text");
            case "throw-in-stream" -> Response.stream("text/plain", out -> {
                out.write("a piece".getBytes(StandardCharsets.UTF_8));
                throw new IllegalStateException("secret-text");
            });
            case "unsendable" -> Response.text("x").withHeader("X-Broken", "a\r\nb");
            case "async" -> Response.text(CompletableFuture.supplyAsync(() -> "async", CompletableFuture.delayedExecutor(10, TimeUnit.MILLISECONDS)).get());
            case "started" -> Response.text(started);
            case "package" -> Response.text("" + Integer.signum(version(rest).compareTo(version("1.9.0"))));
            case "slow" -> {
                Thread.sleep(Long.parseLong(rest));
                yield Response.text("slow");
            }
            case "large" -> Response.text("x".repeat(Integer.parseInt(rest)));
            case "body-text" -> Response.text(request.text());
            case "form" -> Response.json(JSON.writeValueAsBytes(request.form()));
            default -> Response.text("not found\n").withStatus(404);
        };
    }

    private static void events(OutputStream out) throws Exception {
        out.write("data: one\n\n".getBytes(StandardCharsets.UTF_8));
        Thread.sleep(400);
        out.write("data: two\n\n".getBytes(StandardCharsets.UTF_8));
    }

    private static Version version(String text) {
        return VersionUtil.parseVersion(text, null, null);
    }

    private static long count(InputStream in) throws Exception {
        return in.transferTo(OutputStream.nullOutputStream());
    }

    private static byte[] first(InputStream in) throws Exception {
        byte[] piece = new byte[1024];
        int n = in.read(piece);
        return n < 0 ? new byte[0] : java.util.Arrays.copyOf(piece, n);
    }

    private static void failOrHang(String place) {
        if (place.equals(System.getenv("CONF_FAIL"))) {
            throw new IllegalStateException("secret-text");
        }
        while (place.equals(System.getenv("CONF_HANG"))) {
            java.util.concurrent.locks.LockSupport.park();
        }
    }
}
