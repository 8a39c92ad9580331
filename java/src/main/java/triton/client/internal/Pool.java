package triton.client.internal;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Connections that wait for the next call. */
final class Pool {
  private static final long IDLE_NANOS = 60_000_000_000L;

  private final Map<String, ArrayDeque<Connection>> idle = new HashMap<>();
  private boolean closed;

  /** Returns a connection to a server that is still good, or null. */
  Connection take(Target target) {
    while (true) {
      Connection connection;
      synchronized (this) {
        ArrayDeque<Connection> known = idle.get(target.url());
        connection = known == null ? null : known.pollFirst();
      }
      if (connection == null || connection.isAlive()) {
        return connection;
      }
      connection.close();
    }
  }

  /** Keeps a connection, and closes those that have waited for long. */
  void give(Target target, Connection connection) {
    List<Connection> old = new ArrayList<>(0);
    synchronized (this) {
      if (closed) {
        old.add(connection);
      } else {
        connection.idleSince = System.nanoTime();
        ArrayDeque<Connection> known =
            idle.computeIfAbsent(target.url(), url -> new ArrayDeque<>());
        known.addFirst(connection);
        while (connection.idleSince - known.peekLast().idleSince > IDLE_NANOS) {
          old.add(known.pollLast());
        }
      }
    }
    old.forEach(Connection::close);
  }

  /** Closes all connections, also those that come back later. */
  void close() {
    List<Connection> all = new ArrayList<>();
    synchronized (this) {
      closed = true;
      idle.values().forEach(all::addAll);
      idle.clear();
    }
    all.forEach(Connection::close);
  }
}
