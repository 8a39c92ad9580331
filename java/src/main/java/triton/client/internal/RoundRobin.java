package triton.client.internal;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;

/** Takes servers by turns, and leaves those out for a while that could not be reached. */
public final class RoundRobin implements Targets {
  private static final long PAUSE_NANOS = 5_000_000_000L;

  private final List<Target> targets;
  private final AtomicInteger turn = new AtomicInteger();
  private final AtomicLongArray pausedAt;
  private final java.util.BitSet paused;

  /** Creates a choice among these. */
  public RoundRobin(List<Target> targets) {
    this.targets = List.copyOf(targets);
    this.pausedAt = new AtomicLongArray(targets.size());
    this.paused = new java.util.BitSet(targets.size());
  }

  @Override
  public Target next() {
    int size = targets.size();
    if (size == 1) {
      return targets.get(0);
    }
    int first = Math.floorMod(turn.getAndIncrement(), size);
    for (int i = 0; i < size; i++) {
      int index = (first + i) % size;
      if (!isPaused(index)) {
        return targets.get(index);
      }
    }
    return targets.get(first);
  }

  private synchronized boolean isPaused(int index) {
    if (paused.get(index) && System.nanoTime() - pausedAt.get(index) > PAUSE_NANOS) {
      paused.clear(index);
    }
    return paused.get(index);
  }

  @Override
  public synchronized void unreachable(Target target) {
    int index = targets.indexOf(target);
    pausedAt.set(index, System.nanoTime());
    paused.set(index);
  }

  @Override
  public int count() {
    return targets.size();
  }
}
