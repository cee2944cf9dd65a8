import { oaasError } from '@oaas/commons/errors';
import type { PageHash } from './types.ts';

/** Which change of which replica: a stamp of its hybrid logical clock, and the epoch of the replica on its member. */
export interface RefDot {
  readonly ms: number;
  readonly counter: number;
  readonly member: number;
  readonly epoch: number;
}

/** A name for a root. */
export type RefValue =
  /** `atMs`: when the root was the state, in milliseconds since the Unix epoch. */
  | { readonly kind: 'label'; readonly name: string; readonly root: PageHash; readonly atMs: number }
  /** `base`: of the next merge. */
  | { readonly kind: 'branch'; readonly name: string; readonly root: PageHash; readonly base: PageHash };

export type Ref = RefValue & { readonly dot: RefDot };

/**
 * Labels and branches of a shard, as one replica knows them: what is there, and of each replica the last change that is
 * known. Something that is not there although its change is known was taken away: so nothing is left of what was.
 */
export interface RefSet {
  /** In the order of kind, name and dot. */
  readonly refs: readonly Ref[];
  /** The last one known of each replica that has made changes, in the order of members and epochs. */
  readonly seen: readonly RefDot[];
}

/** What callers see under a name. */
export interface NamedRef {
  readonly name: string;
  readonly ref: Ref;
  /** All that mean the same, `ref` among them: several when replicas came to the same independently. */
  readonly refs: readonly Ref[];
}

export const noRefs: RefSet = { refs: [], seen: [] };

export const maxNameLength = 160;
/**
 * Replicas whose last change is remembered: those that changed something last. What one before them had named, and was
 * taken away since, may come back from a replica that was away for all that time.
 */
export const maxAuthors = 256;
/** More are refused from another replica. What replicas themselves allow is far less. */
const maxRefs = 8192;

export function keyOfDot({ ms, counter, member, epoch }: RefDot): string {
  return `${String(member)}.${String(epoch)}.${String(ms)}.${String(counter)}`;
}

/** By time, then by member: the same order everywhere. */
export function compareDots(a: RefDot, b: RefDot): number {
  return a.ms - b.ms || a.counter - b.counter || a.member - b.member || a.epoch - b.epoch;
}

/**
 * All that two replicas know: what both have, and what one has and the other has not heard of. Commutative, associative
 * and idempotent. Of concurrent changes of one name each stays: see {@link namedRefs}.
 *
 * Source: A. Bieniusa et al., "An optimized conflict-free replicated set", 2012; a name here is a label of elements.
 */
export function mergeRefs(a: RefSet, b: RefSet): RefSet {
  return ordered([...leftOf(a, b), ...leftOf(b, a).filter(isNotIn(a))], [...a.seen, ...b.seen]);
}

/** `dot` gives a new one, later than all before it, for each thing that is added. */
export function changeRefs(
  { refs, seen }: RefSet,
  { remove, add }: { readonly remove: readonly Ref[]; readonly add: readonly RefValue[] },
  dot: () => RefDot,
): RefSet {
  const gone = new Set(remove.map((ref) => keyOfDot(ref.dot)));
  const added = add.map((value): Ref => ({ ...value, dot: dot() }));
  const left = refs.filter((ref) => !gone.has(keyOfDot(ref.dot)));
  return ordered([...left, ...added], [...seen, ...added.map((ref) => ref.dot)]);
}

/**
 * Under each name what was changed last. What others made of the same name at the same time has the name with the number
 * of the member behind it: `<name>.<member>`, and a further number where that is taken. The same on all replicas that
 * know the same.
 */
export function namedRefs({ refs }: RefSet, kind: Ref['kind']): NamedRef[] {
  const groups = groupsOf(refs.filter((ref) => ref.kind === kind));
  const named: NamedRef[] = [];
  const taken = new Set(groups.keys());
  for (const [name, lines] of groups) {
    for (const [i, line] of lines.entries()) {
      const [ref] = line;
      if (ref === undefined) continue;
      const free = i === 0 ? name : freeName(name, ref.dot.member, taken);
      taken.add(free);
      named.push({ name: free, ref, refs: line });
    }
  }
  return named.sort((a, b) => compareText(a.name, b.name));
}

/**
 * What takes a name away, for {@link changeRefs}: what others made of it at the same time keeps the name that it has,
 * and does not turn up under the one that is gone.
 */
export function withdrawal(set: RefSet, { ref, refs }: NamedRef): { readonly remove: Ref[]; readonly add: RefValue[] } {
  const gone = new Set(refs);
  const others = namedRefs(set, ref.kind).filter((other) => other.ref.name === ref.name && !gone.has(other.ref));
  const renamed = others.filter(({ name, ref: other }) => name !== other.name);
  return {
    remove: [...refs, ...renamed.flatMap((other) => other.refs)],
    add: renamed.map(({ name, ref: other }) => ({ ...valueOf(other), name })),
  };
}

/** For the disk and for other replicas; equal for equal sets. */
export type RefsJson = readonly [refs: readonly RefJson[], seen: readonly DotJson[]];
type DotJson = readonly [ms: number, counter: number, member: number, epoch: number];
type RefJson = readonly [kind: string, name: string, root: PageHash, more: number | PageHash, dot: DotJson];

export function refsToJson({ refs, seen }: RefSet): RefsJson {
  return [
    refs.map((ref) => [ref.kind, ref.name, ref.root, ref.kind === 'label' ? ref.atMs : ref.base, dotToJson(ref.dot)]),
    seen.map(dotToJson),
  ];
}

/** `DataLoss` for what {@link refsToJson} did not give. */
export function refsFromJson(json: unknown): RefSet {
  if (!Array.isArray(json)) throw malformed();
  const [refs, seen] = json as unknown[];
  if (!Array.isArray(refs) || !Array.isArray(seen) || refs.length > maxRefs || seen.length > maxAuthors) {
    throw malformed();
  }
  return ordered(refs.map(refFromJson), seen.map(dotFromJson));
}

function refFromJson(json: unknown): Ref {
  if (!Array.isArray(json)) throw malformed();
  const [kind, name, root, more, dot] = json as unknown[];
  if (typeof name !== 'string' || name === '' || name.length > maxNameLength || !isRoot(root)) throw malformed();
  if (kind === 'label' && isWhole(more)) return { kind, name, root, atMs: more, dot: dotFromJson(dot) };
  if (kind === 'branch' && isRoot(more)) return { kind, name, root, base: more, dot: dotFromJson(dot) };
  throw malformed();
}

function dotToJson({ ms, counter, member, epoch }: RefDot): DotJson {
  return [ms, counter, member, epoch];
}

function dotFromJson(json: unknown): RefDot {
  if (!Array.isArray(json)) throw malformed();
  const [ms, counter, member, epoch] = json as unknown[];
  if (isWhole(ms) && isWhole(counter) && isWhole(member) && isWhole(epoch)) return { ms, counter, member, epoch };
  throw malformed();
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isRoot(value: unknown): value is PageHash {
  return typeof value === 'string' && /^[0-9a-f]{1,128}$/.test(value);
}

function malformed(): Error {
  return oaasError('DataLoss', 'labels and branches of a replica have an unknown form', {
    remedy: 'Run the same version on all members.',
  });
}

/** What is left of `a` for somebody who knows all of `b`. */
function leftOf(a: RefSet, b: RefSet): Ref[] {
  const seen = new Map(b.seen.map((dot) => [authorOf(dot), dot]));
  const isNew = isNotIn(b);
  return a.refs.filter((ref) => {
    const last = seen.get(authorOf(ref.dot));
    return !isNew(ref) || last === undefined || compareDots(ref.dot, last) > 0;
  });
}

function isNotIn({ refs }: RefSet): (ref: Ref) => boolean {
  const keys = new Set(refs.map(({ dot }) => keyOfDot(dot)));
  return ({ dot }) => !keys.has(keyOfDot(dot));
}

function authorOf({ member, epoch }: RefDot): string {
  return `${String(member)}.${String(epoch)}`;
}

function ordered(refs: readonly Ref[], seen: readonly RefDot[]): RefSet {
  const last = new Map<string, RefDot>();
  for (const dot of seen) {
    const other = last.get(authorOf(dot));
    if (other === undefined || compareDots(other, dot) < 0) last.set(authorOf(dot), dot);
  }
  const latest = [...last.values()].sort((a, b) => compareDots(b, a)).slice(0, maxAuthors);
  return {
    refs: [...refs].sort(
      (a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name) || compareDots(a.dot, b.dot),
    ),
    seen: latest.sort((a, b) => a.member - b.member || a.epoch - b.epoch),
  };
}

/** By name; what means the same root in one line, the one that was changed last first, and so the lines. */
function groupsOf(refs: readonly Ref[]): Map<string, Ref[][]> {
  const groups = new Map<string, Ref[][]>();
  for (const ref of [...refs].sort((a, b) => compareText(a.name, b.name) || compareDots(b.dot, a.dot))) {
    const lines = groups.get(ref.name) ?? [];
    groups.set(ref.name, lines);
    const line = lines.find(([first]) => first?.root === ref.root);
    if (line === undefined) lines.push([ref]);
    else line.push(ref);
  }
  return groups;
}

function freeName(name: string, member: number, taken: ReadonlySet<string>): string {
  for (let i = 1; ; i++) {
    const suffix = i === 1 ? `.${String(member)}` : `.${String(member)}.${String(i)}`;
    const free = `${name.slice(0, maxNameLength - suffix.length)}${suffix}`;
    if (!taken.has(free)) return free;
  }
}

function valueOf(ref: Ref): RefValue {
  const { kind, name, root } = ref;
  return kind === 'label' ? { kind, name, root, atMs: ref.atMs } : { kind, name, root, base: ref.base };
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
