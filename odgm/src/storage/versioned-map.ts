import { SortedCells } from './sorted-cells.ts';

/** A value as it was in an epoch. `undefined` says that the key was deleted. */
export interface Version {
  value: Uint8Array | undefined;
  epoch: number;
  older: Version | undefined;
}

export interface Cell extends Version {
  readonly key: string;
}

/** What a cell and its places in the indexes cost, roughly, in bytes. */
const cellOverhead = 128;

/**
 * An ordered map whose past can be pinned. A write changes a cell in place unless a pin may still want its value, so
 * that pins cost nothing when there are none. A pin costs O(1) and holds one old version per key changed since.
 */
export class VersionedMap {
  readonly #cells = new Map<string, Cell>();
  readonly #sorted = new SortedCells<Cell>();
  readonly #pins = new Set<number>();
  #newestPin = -1;
  #oldestPin = -1;
  #epoch = 0;
  #bytes = 0;

  /** Keys, deleted ones that are remembered among them. */
  get size(): number {
    return this.#cells.size;
  }

  /** Bytes of keys and newest values, and an estimate of what keeping them costs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The newest version. */
  get(key: string): Cell | undefined {
    return this.#cells.get(key);
  }

  /** Keeps `value` by reference; `undefined` marks the key as deleted. */
  set(key: string, value: Uint8Array | undefined): void {
    const cell = this.#cells.get(key);
    const length = value === undefined ? 0 : value.length;
    if (cell === undefined) {
      const added: Cell = { key, value, epoch: this.#epoch, older: undefined };
      this.#cells.set(key, added);
      this.#sorted.insert(added);
      this.#bytes += key.length + length + cellOverhead;
      return;
    }
    this.#bytes += length - (cell.value === undefined ? 0 : cell.value.length);
    if (cell.epoch <= this.#newestPin) {
      const older = cell.epoch <= this.#oldestPin ? undefined : cell.older;
      cell.older = { value: cell.value, epoch: cell.epoch, older };
    } else if (this.#newestPin < 0) cell.older = undefined;
    cell.value = value;
    cell.epoch = this.#epoch;
  }

  /** Forgets a key with all its versions. Only for keys that no pin can want. */
  forget(key: string): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) return;
    this.#cells.delete(key);
    this.#sorted.remove(key);
    this.#bytes -= key.length + (cell.value === undefined ? 0 : cell.value.length) + cellOverhead;
  }

  /** Cells with start <= key < end, ascending; deleted ones too. */
  between(start: string, end: string): Generator<Cell> {
    return this.#sorted.between(start, end);
  }

  cells(): IterableIterator<Cell> {
    return this.#cells.values();
  }

  /** Makes {@link at} know the present state until {@link unpin}. */
  pin(): number {
    const pin = this.#epoch++;
    this.#pins.add(pin);
    this.#findEnds();
    return pin;
  }

  unpin(pin: number): void {
    this.#pins.delete(pin);
    this.#findEnds();
  }

  get isPinned(): boolean {
    return this.#pins.size > 0;
  }

  #findEnds(): void {
    this.#newestPin = this.#pins.size === 0 ? -1 : Math.max(...this.#pins);
    this.#oldestPin = this.#pins.size === 0 ? -1 : Math.min(...this.#pins);
  }
}

/** The version of a cell at a pin; `undefined` when the key was not there yet. */
export function at(cell: Version, pin: number): Version | undefined {
  let version: Version | undefined = cell;
  while (version !== undefined && version.epoch > pin) version = version.older;
  return version;
}

/** The newest of all versions, as a pin. */
export const latest = Infinity;
