import { invariant } from '@oaas/commons/errors';

/**
 * Append messages on their way to one follower: the index of the last entry of each, and their bytes. A ring that grows by doubling up to
 * `maxMessages`, since a node may host thousands of groups of which few are busy.
 */
export class Inflights {
  readonly maxMessages: number;
  /** The message that reaches this bound is still sent; the next one waits. */
  readonly maxBytes: number;
  #count = 0;
  #bytes = 0;
  #start = 0;
  #indexes: number[] = [];
  #sizes: number[] = [];

  constructor(maxMessages: number, maxBytes: number) {
    this.maxMessages = maxMessages;
    this.maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.maxMessages || this.#bytes >= this.maxBytes;
  }

  /** Not to be called when full. Indexes never go down. */
  add(index: number, bytes: number): void {
    invariant(!this.full, 'a full in-flight window takes no message');
    const capacity = this.#indexes.length;
    if (this.#count === capacity) this.#grow(capacity);
    const at = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[at] = index;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Everything up to `index` has arrived. */
  freeUpTo(index: number): void {
    const capacity = this.#indexes.length;
    while (this.#count > 0 && (this.#indexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start = (this.#start + 1) % capacity;
      this.#count--;
    }
    if (this.#count === 0) this.#start = 0;
  }

  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Called when all places are taken: the oldest comes to the front of twice as many. */
  #grow(capacity: number): void {
    const larger = Math.min(Math.max(1, capacity * 2), this.maxMessages);
    const indexes = new Array<number>(larger).fill(0);
    const sizes = new Array<number>(larger).fill(0);
    for (let i = 0; i < capacity; i++) {
      const from = (this.#start + i) % capacity;
      indexes[i] = this.#indexes[from] as number;
      sizes[i] = this.#sizes[from] as number;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
