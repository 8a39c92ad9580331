package triton.client.messages;

/** How often something happened, and how long it took altogether. */
public final class StatisticDuration {
  private final long count;
  private final long ns;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param count how often
   * @param ns the time altogether, in nanoseconds
   */
  public StatisticDuration(long count, long ns) {
    this.count = count;
    this.ns = ns;
  }

  /** {@return how often} */
  public long count() {
    return count;
  }

  /** {@return the time altogether, in nanoseconds} */
  public long ns() {
    return ns;
  }

  @Override
  public String toString() {
    return "StatisticDuration[" + "count=" + count + ", ns=" + ns + "]";
  }
}
