/** Lines that are kept for the report of a failure. */
const keptLines = 200;

/**
 * What happened in a simulated world, as a running hash and the last lines. Two runs with one seed have equal hashes, or
 * something in them is not simulated.
 */
export class Trace {
  lines = 0;
  private low = 0x811c9dc5;
  private high = 0x01000193;
  private readonly kept: string[] = [];
  private readonly sink: ((line: string) => void) | undefined;

  /** @param sink gets every line, for a person who looks for a defect. */
  constructor(sink?: (line: string) => void) {
    this.sink = sink;
  }

  add(line: string): void {
    // FNV-1a (Fowler, Noll, Vo) twice, with different primes: 64 bits.
    let { low, high } = this;
    for (let i = 0; i < line.length; i += 1) {
      const unit = line.charCodeAt(i);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul(high ^ unit, 0x85ebca6b);
    }
    this.low = Math.imul(low ^ 10, 0x01000193);
    this.high = Math.imul(high ^ 10, 0x85ebca6b);
    this.kept[this.lines % keptLines] = line;
    this.lines += 1;
    this.sink?.(line);
  }

  /** 16 hexadecimal digits. */
  hash(): string {
    return [this.high, this.low].map((part) => (part >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** The last lines, oldest first. */
  tail(): string[] {
    const at = this.lines % keptLines;
    return [...this.kept.slice(at), ...this.kept.slice(0, at)].slice(-Math.min(this.lines, keptLines));
  }
}
