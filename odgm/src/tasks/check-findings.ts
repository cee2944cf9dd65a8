import type { CheckRecord, CheckVerdict, Finding } from '../meta/index.ts';

export type NameOf = (member: number) => string;

/** Verdicts that need nobody's attention. Never one that says that nothing is known. */
const good: ReadonlySet<CheckVerdict> = new Set(['consistent', 'converged']);

export function isGood({ verdict }: CheckRecord): boolean {
  return good.has(verdict);
}

const severities: Readonly<Record<CheckVerdict, Finding['severity']>> = {
  consistent: 'info',
  converged: 'info',
  lagging: 'info',
  indeterminate: 'warning',
  missing: 'error',
  resurrected: 'error',
  stuck: 'error',
  inconsistent: 'error',
};

/** Objects that are named in a text; all of them are in the check. */
const namedMax = 5;

/** What a check says that somebody should know; undefined for one that found nothing. */
export function checkFinding(check: CheckRecord, nameOf: NameOf): Finding | undefined {
  if (isGood(check)) return undefined;
  const { verdict, collection, partition, minority, replicas, differing, reason } = check;
  return {
    severity: severities[verdict],
    code: `check.${verdict}`,
    message: `${collection}/${String(partition)} is ${verdict}: ${reason}`,
    evidence: [
      ...replicas.map((replica) => {
        const what = replica.root === '' ? 'no answer' : `${replica.root} at ${String(replica.index)}`;
        return `${nameOf(replica.member)}: ${what}${replica.problem === undefined ? '' : ` (${replica.problem})`}`;
      }),
      ...(minority.length === 0 ? [] : [`set apart: ${minority.map(nameOf).join(', ')}`]),
      ...(differing.length === 0 ? [] : [`objects: ${someOf(differing)}`]),
    ].join('; '),
    remedy: remedyOf(check),
  };
}

function someOf(names: readonly string[]): string {
  const more = names.length - namedMax;
  return `${names.slice(0, namedMax).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}

function remedyOf({ verdict, minority }: CheckRecord): string {
  switch (verdict) {
    case 'inconsistent':
      return minority.length > 0
        ? 'Nothing now: the named replicas are made anew from the others and checked again. If it comes again, look at their disks.'
        : 'No replica is known to be right: writes to a shard that agrees by a log are frozen. Decide which replicas are wrong, and repair those members: what they have is made anew from the others.';
    case 'indeterminate':
      return 'Bring the replicas that did not answer back, then check again.';
    case 'lagging':
      return 'Nothing: replication is at work. Check again later.';
    case 'stuck':
    case 'missing':
    case 'resurrected':
      return 'See the named entries on each replica, and write those anew that are wrong.';
    case 'consistent':
    case 'converged':
      return 'Nothing.';
  }
}

/** Counts of verdicts, such as `3 consistent, 1 indeterminate`. */
export function verdictCounts(checks: readonly CheckRecord[]): string {
  const counts = new Map<CheckVerdict, number>();
  for (const { verdict } of checks) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  return [...counts].map(([verdict, count]) => `${String(count)} ${verdict}`).join(', ');
}
