package fnb;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * Serves the function on the loopback interface, where the watchdog calls it. Its argument is the
 * name of the handler's class.
 */
final class Main implements SignalHandler {
    private static final int HOOK_SECONDS = 10;

    /**
     * How many virtual threads run or block at the same time. Java before 24 cannot take one that
     * waits inside synchronized, as old drivers of databases do, off the thread that carries it.
     */
    private static final String CARRIERS = "jdk.virtualThreadScheduler.parallelism";
    private static final int LEAST_CARRIERS = 16;

    private final LinkedBlockingQueue<String> signals = new LinkedBlockingQueue<>();

    private Main() {}

    public static void main(String[] args) throws Exception {
        if (System.getProperty(CARRIERS) == null) {
            System.setProperty(CARRIERS, Integer.toString(Math.max(LEAST_CARRIERS, Runtime.getRuntime().availableProcessors())));
        }
        Main main = new Main();
        Signal.handle(new Signal("TERM"), main);
        Signal.handle(new Signal("INT"), main);
        Handler handler;
        try {
            handler = load(args[0]);
            start(handler);
        } catch (Throwable t) {
            log("the function does not start: ", t);
            System.exit(1);
            return;
        }
        Server server = new Server(handler, new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), port()));
        new Thread(server, "accept").start();
        if (main.signals.take().equals("TERM")) {
            main.signals.poll(pause(), TimeUnit.MILLISECONDS);
        }
        server.drain();
        System.exit(stop(handler));
    }

    @Override
    public void handle(Signal signal) {
        signals.add(signal.getName());
    }

    /** Makes the one object of the handler's class. */
    static Handler load(String name) throws Throwable {
        Class<?> type = Class.forName(name);
        Constructor<?> constructor = type.getDeclaredConstructor();
        constructor.setAccessible(true);
        try {
            return (Handler) constructor.newInstance();
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** Runs the start hook. As long as it does not return, a line in the log says so. */
    private static void start(Handler handler) throws Exception {
        Hook waiting = new Hook();
        Thread ticker = new Thread(waiting, "start");
        ticker.setDaemon(true);
        ticker.start();
        try {
            handler.start();
        } finally {
            ticker.interrupt();
        }
    }

    private static final class Hook implements Runnable {
        @Override
        public void run() {
            for (int seconds = HOOK_SECONDS; ; seconds += HOOK_SECONDS) {
                try {
                    Thread.sleep(HOOK_SECONDS * 1000L);
                } catch (InterruptedException e) {
                    return;
                }
                log("the start hook has not returned for " + seconds + " seconds");
            }
        }
    }

    /** Runs the stop hook and returns the exit code. */
    private static int stop(Handler handler) throws InterruptedException {
        Throwable[] failed = new Throwable[1];
        Thread hook = new Thread(new Runnable() {
            @Override
            public void run() {
                try {
                    handler.stop();
                } catch (Throwable t) {
                    failed[0] = t;
                }
            }
        }, "stop");
        hook.setDaemon(true);
        hook.start();
        hook.join(HOOK_SECONDS * 1000L);
        if (hook.isAlive()) {
            log("the stop hook has not returned for " + HOOK_SECONDS + " seconds");
            return 1;
        }
        if (failed[0] != null) {
            log("the stop hook failed: ", failed[0]);
            return 1;
        }
        return 0;
    }

    private static int port() {
        String url = System.getenv("upstream_url");
        if (url != null) {
            String rest = url.replaceFirst("^[a-z]+://[^:/]*:?", "");
            int end = 0;
            while (end < rest.length() && Character.isDigit(rest.charAt(end))) {
                end++;
            }
            if (end > 0) {
                return Integer.parseInt(rest.substring(0, end));
            }
        }
        return 8082;
    }

    /**
     * Returns for how many milliseconds to go on taking requests after SIGTERM. A watchdog that
     * passes the signal on before it refuses requests itself does so for healthcheck_interval, or
     * else for write_timeout; fnb's passes it on last, and says 1ms.
     */
    private static long pause() {
        for (String name : new String[] {"healthcheck_interval", "write_timeout"}) {
            long millis = millis(System.getenv(name));
            if (millis >= 0) {
                return millis;
            }
        }
        return 30_000;
    }

    /** Returns a duration such as 1m30s, or a number of seconds; -1 for anything else. */
    static long millis(String text) {
        if (text == null || text.isEmpty()) {
            return -1;
        }
        double total = 0;
        int at = 0;
        while (at < text.length()) {
            int from = at;
            while (at < text.length() && (Character.isDigit(text.charAt(at)) || text.charAt(at) == '.')) {
                at++;
            }
            int unit = at;
            while (at < text.length() && Character.isLetter(text.charAt(at))) {
                at++;
            }
            double value;
            try {
                value = Double.parseDouble(text.substring(from, unit));
            } catch (NumberFormatException e) {
                return -1;
            }
            switch (text.substring(unit, at)) {
                case "h" -> total += value * 3_600_000;
                case "m" -> total += value * 60_000;
                case "s" -> total += value * 1000;
                case "ms" -> total += value;
                case "" -> {
                    if (from > 0) {
                        return -1;
                    }
                    total = value * 1000;
                }
                default -> {
                    return -1;
                }
            }
        }
        return (long) total;
    }

    static void log(String line) {
        System.err.println(line);
    }

    /** Logs an error with its stack in one piece. */
    static void log(String what, Throwable t) {
        StringWriter text = new StringWriter();
        text.write(what);
        t.printStackTrace(new PrintWriter(text, true));
        System.err.print(text);
        System.err.flush();
    }
}
