import {
  admitRegister,
  admitsHeader,
  adoptCut,
  advanceReaping,
  asOf,
  changeHeader,
  deleteHeader,
  encodeHeader,
  encodeRegister,
  expiredOf,
  headerStamp,
  HybridClock,
  initialReaping,
  isAlive,
  isExpired,
  isHeaderReapable,
  isReapable,
  mergeHeaders,
  mergeRegisters,
  type ObjectHeader,
  type ReapingState,
  reapedOf,
  reapMap,
  type Register,
  type RegisterWrite,
  type ReplicaProgress,
  type Stamp,
  survivorOf,
  versionOf,
  writeRegister,
  zeroStamp,
} from './index.ts';

/** A part of a replica's state that travels by itself. */
export type Part =
  | { readonly type: 'header'; readonly id: string; readonly header: ObjectHeader }
  | { readonly type: 'entry'; readonly id: string; readonly key: string; readonly register: Register };

/** For tests: a replica of a shard over plain maps, as small as the rules allow. */
export class TestReplica {
  readonly member: number;
  readonly clock: HybridClock;
  readonly headers = new Map<string, ObjectHeader>();
  /** By object, then by key. */
  readonly entries = new Map<string, Map<string, Register>>();
  readonly progress = new Map<number, ReplicaProgress>();
  reaping: ReapingState = initialReaping;

  constructor(member: number) {
    this.member = member;
    this.clock = new HybridClock({ member, maxAheadMs: Infinity });
  }

  change(id: string, put: Iterable<readonly [string, RegisterWrite]>, replace: boolean, nowMs: number): Stamp {
    const stamp = this.clock.tick(nowMs);
    this.headers.set(id, changeHeader(this.headers.get(id), { stamp, member: this.member, replace }));
    for (const [key, write] of put) {
      this.#of(id).set(key, writeRegister(asOf(this.#of(id).get(key), nowMs), write, stamp));
    }
    this.#drop(id);
    return stamp;
  }

  /** Undefined when there is nothing to delete. */
  delete(id: string, nowMs: number): Stamp | undefined {
    const header = this.headers.get(id);
    if (header === undefined || !isAlive(header)) return undefined;
    const stamp = this.clock.tick(nowMs);
    this.headers.set(id, deleteHeader(header, stamp, this.member));
    this.#drop(id);
    return stamp;
  }

  receive(part: Part, nowMs: number): void {
    const stamp = part.type === 'header' ? headerStamp(part.header) : part.register.stamp;
    this.clock.observe(stamp, nowMs);
    if (part.type === 'header') {
      const held = this.headers.get(part.id);
      if (!admitsHeader(part.header, held, this.reaping.cut)) return;
      this.headers.set(part.id, held === undefined ? part.header : mergeHeaders(held, part.header));
      this.#drop(part.id);
      return;
    }
    const entries = this.#of(part.id);
    const held = asOf(entries.get(part.key), nowMs);
    const incoming = asOf(part.register, nowMs);
    const admitted = admitRegister(incoming, held, this.reaping.cut);
    if (admitted === undefined) return;
    const states = [held, admitted, reapedOf(incoming, held, this.reaping.cut)];
    entries.set(part.key, states.filter((state) => state !== undefined).reduce(mergeRegisters));
    this.#drop(part.id);
  }

  parts(): Part[] {
    const headers = [...this.headers].map(([id, header]): Part => ({ type: 'header', id, header }));
    const entries = [...this.entries].flatMap(([id, registers]) =>
      [...registers].map(([key, register]): Part => ({ type: 'entry', id, key, register })),
    );
    return [...headers, ...entries];
  }

  /** A complete exchange: both end with what either had, and know so. */
  exchange(other: TestReplica, nowMs: number): void {
    for (const [one, two] of [
      [this, other],
      [other, this],
    ] as const) {
      one.reaping = adoptCut(one.reaping, two.reaping.cut);
      one.clock.observe(two.reaping.cut, nowMs);
      one.reap();
    }
    const [ours, theirs] = [this.clock.tick(nowMs), other.clock.tick(nowMs)];
    const [mine, its] = [this.parts(), other.parts()];
    for (const part of its) this.receive(part, nowMs);
    for (const part of mine) other.receive(part, nowMs);
    this.progress.set(other.member, { member: other.member, pulled: theirs, pushed: ours });
    other.progress.set(this.member, { member: this.member, pulled: ours, pushed: theirs });
  }

  advance(members: readonly number[], nowMs: number, graceMs: number): void {
    const others = members.filter((member) => member !== this.member);
    const known = others.map((member) => this.progress.get(member) ?? { member, pulled: zeroStamp, pushed: zeroStamp });
    this.reaping = advanceReaping(this.reaping, known, this.clock.tick(nowMs), graceMs);
    this.reap();
  }

  /** Takes away what has expired. */
  expire(nowMs: number): void {
    for (const registers of this.entries.values()) {
      for (const [key, register] of registers) if (isExpired(register, nowMs)) registers.set(key, expiredOf(register));
    }
  }

  reap(): void {
    const { cut } = this.reaping;
    for (const [id, header] of this.headers) if (isHeaderReapable(header, cut)) this.headers.delete(id);
    for (const registers of this.entries.values()) {
      for (const [key, register] of registers) {
        if (isReapable(register, cut)) registers.delete(key);
        else registers.set(key, reapMap(register, cut));
      }
    }
  }

  /** All of the state, tombstones included; equal texts for equal states. */
  state(): string {
    const bytes = this.parts().map((part) =>
      part.type === 'header'
        ? `${part.id} = ${encodeHeader(part.header).join()}`
        : `${part.id} ${part.key} = ${encodeRegister(part.register).join()}`,
    );
    return bytes.sort().join('\n');
  }

  /** What a client sees: objects that exist, with their values. */
  visible(): Map<string, { version: number; values: Map<string, Register> }> {
    const objects = new Map<string, { version: number; values: Map<string, Register> }>();
    for (const [id, header] of this.headers) {
      if (!isAlive(header)) continue;
      const values = [...this.#of(id)].filter(([, { value }]) => value !== undefined);
      objects.set(id, { version: versionOf(header), values: new Map(values) });
    }
    return objects;
  }

  #of(id: string): Map<string, Register> {
    const registers = this.entries.get(id) ?? new Map<string, Register>();
    this.entries.set(id, registers);
    return registers;
  }

  /** Takes away what the header does not let live. */
  #drop(id: string): void {
    const registers = this.#of(id);
    for (const [key, register] of registers) {
      const left = survivorOf(this.headers.get(id), register);
      if (left === undefined) registers.delete(key);
      else registers.set(key, left);
    }
  }
}
