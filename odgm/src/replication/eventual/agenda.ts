/**
 * When each of many things is due. To look for what is due touches nothing else, however much there is: things lie in
 * slots of time. Some wait for a member instead, until it is said that they may go on.
 */
export class Agenda<T> {
  readonly #slotMs: number;
  readonly #timeOf: (item: T) => number;
  readonly #slots = new Map<number, Set<T>>();
  readonly #waiting = new Map<number, Set<T>>();
  readonly #places = new Map<T, Set<T>>();
  /** Nothing lies in the slots before this one. */
  #first = Infinity;

  /** `timeOf`: when a thing is due, in milliseconds. After a change of it the thing is to be put again. */
  constructor(slotMs: number, timeOf: (item: T) => number) {
    this.#slotMs = slotMs;
    this.#timeOf = timeOf;
  }

  /** Wherever it was before. */
  put(item: T): void {
    const slot = Math.floor(this.#timeOf(item) / this.#slotMs);
    this.#first = Math.min(this.#first, slot);
    this.#place(item, this.#slots, slot);
  }

  /** It is not due before {@link wake}, unless it is put again. */
  wait(item: T, member: number): void {
    this.#place(item, this.#waiting, member);
  }

  /** What waited for the member is due when its time has come. */
  wake(member: number): void {
    const waiting = this.#waiting.get(member);
    this.#waiting.delete(member);
    for (const item of waiting ?? []) this.put(item);
  }

  remove(item: T): void {
    this.#places.get(item)?.delete(item);
    this.#places.delete(item);
  }

  /** Takes away and returns what is due by now. */
  takeDue(now: number): T[] {
    const due: T[] = [];
    for (const last = Math.floor(now / this.#slotMs); this.#first <= last; this.#first++) {
      const slot = this.#slots.get(this.#first);
      for (const item of slot ?? []) {
        if (this.#timeOf(item) > now) continue;
        due.push(item);
        this.remove(item);
      }
      if (slot !== undefined && slot.size > 0) break;
      this.#slots.delete(this.#first);
    }
    return due;
  }

  clear(): void {
    for (const places of [this.#slots, this.#waiting, this.#places]) places.clear();
  }

  #place(item: T, places: Map<number, Set<T>>, key: number): void {
    this.remove(item);
    const place = places.get(key) ?? new Set();
    places.set(key, place.add(item));
    this.#places.set(item, place);
  }
}
