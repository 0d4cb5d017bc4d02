package fnb;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** Takes connections, each into a virtual thread of its own, until it is drained. */
final class Server implements Runnable {
    final Handler handler;
    final String hostname;

    private final ServerSocket listener = new ServerSocket();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition answered = lock.newCondition();
    private final Set<Socket> idle = new HashSet<>();
    private int busy;
    private boolean draining;

    Server(Handler handler, InetSocketAddress address) throws IOException {
        this.handler = handler;
        String name = System.getenv("HOSTNAME");
        hostname = name == null ? "localhost" : name;
        listener.setReuseAddress(true);
        listener.bind(address, 1024);
    }

    @Override
    public void run() {
        Thread.Builder threads = Thread.ofVirtual().name("request");
        while (true) {
            try {
                Socket socket = listener.accept();
                threads.start(new Connection(this, socket));
            } catch (IOException e) {
                if (draining()) {
                    return;
                }
                Main.log("taking a connection: ", e); // such as too many open files
                try {
                    Thread.sleep(10);
                } catch (InterruptedException i) {
                    return;
                }
            }
        }
    }

    private boolean draining() {
        lock.lock();
        try {
            return draining;
        } finally {
            lock.unlock();
        }
    }

    /** Says that a connection waits for a request; false if it must not any more. */
    boolean rest(Socket socket, boolean first) {
        lock.lock();
        try {
            if (!first) {
                busy--;
                answered.signalAll();
            }
            if (draining) {
                return false;
            }
            idle.add(socket);
            return true;
        } finally {
            lock.unlock();
        }
    }

    /** Says that a request has begun. */
    void work(Socket socket) {
        lock.lock();
        try {
            idle.remove(socket);
            busy++;
        } finally {
            lock.unlock();
        }
    }

    /** Forgets a connection that waits for a request or has answered one. */
    void leave(Socket socket, boolean working) {
        lock.lock();
        try {
            idle.remove(socket);
            if (working) {
                busy--;
                answered.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Takes no more requests, and returns when all are answered. */
    void drain() throws InterruptedException {
        lock.lock();
        try {
            draining = true;
            close(listener);
            for (Socket socket : idle) {
                close(socket);
            }
            while (busy > 0) {
                answered.await();
            }
        } finally {
            lock.unlock();
        }
    }

    static void close(AutoCloseable it) {
        try {
            it.close();
        } catch (Exception e) {
            // it is of no use any more
        }
    }
}
