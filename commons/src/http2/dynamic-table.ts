/** What an entry counts beyond its octets (RFC 7541 §4.1). */
export const entryOverhead = 32;

/**
 * The dynamic table of RFC 7541 §2.3.2: newest entry first, evicted from the other end. Its memory is bounded by
 * `maxSize` (an entry counts at least 32), the sum of its entries never passes it.
 */
export class DynamicTable {
  size = 0;
  count = 0;
  maxSize: number;
  /** Entries inserted since the beginning. Entry `sequence` s has position `inserted - s`, from 1. */
  inserted = 0;
  /** Changes with each insertion or eviction: what was looked up under another number may mean something else now. */
  generation = 0;
  /** Ring of name and value, twice `mask + 1` long. */
  private ring: string[] = new Array<string>(32).fill('');
  private mask = 15;

  constructor(maxSize: number) {
    this.maxSize = maxSize;
  }

  /** @param position 1 for the newest entry; at most `count`. */
  name(position: number): string {
    return this.ring[((this.inserted - position) & this.mask) * 2] as string;
  }

  value(position: number): string {
    return this.ring[((this.inserted - position) & this.mask) * 2 + 1] as string;
  }

  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.evictTo(maxSize);
  }

  /** Adds an entry, evicting first. One that is larger than the table empties it and is not added (§4.4). */
  insert(name: string, value: string): boolean {
    const size = name.length + value.length + entryOverhead;
    this.generation += 1;
    this.evictTo(this.maxSize - size);
    if (size > this.maxSize) return false;
    if (this.count > this.mask) this.grow();
    const at = (this.inserted & this.mask) * 2;
    this.ring[at] = name;
    this.ring[at + 1] = value;
    this.inserted += 1;
    this.count += 1;
    this.size += size;
    return true;
  }

  /** Called for each entry before it goes; the encoder forgets where it was. */
  onEvict: ((name: string, value: string, sequence: number) => void) | undefined = undefined;

  private evictTo(limit: number): void {
    while (this.count > 0 && this.size > limit) {
      const sequence = this.inserted - this.count;
      const at = (sequence & this.mask) * 2;
      const name = this.ring[at] as string;
      const value = this.ring[at + 1] as string;
      this.onEvict?.(name, value, sequence);
      this.ring[at] = '';
      this.ring[at + 1] = '';
      this.size -= name.length + value.length + entryOverhead;
      this.count -= 1;
      this.generation += 1;
    }
  }

  private grow(): void {
    const larger = new Array<string>(this.ring.length * 2).fill('');
    const mask = this.mask * 2 + 1;
    for (let sequence = this.inserted - this.count; sequence < this.inserted; sequence += 1) {
      larger[(sequence & mask) * 2] = this.ring[(sequence & this.mask) * 2] as string;
      larger[(sequence & mask) * 2 + 1] = this.ring[(sequence & this.mask) * 2 + 1] as string;
    }
    this.ring = larger;
    this.mask = mask;
  }
}
