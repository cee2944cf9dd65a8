import type { RaftSpan, RaftTracer } from './tracing.ts';
import type { Tuning } from './types.ts';

/**
 * How long a voter waits before it stands for election when it lost the link to the leader: by its rank among the others,
 * so that they do not all stand at once. Ranks differ from group to group. Undefined for one that has no vote.
 */
export function campaignDelay(
  host: { readonly self: number; readonly tuning: Tuning; random(): number },
  group: number,
  voters: readonly number[],
  lost: number,
): number | undefined {
  const { self, tuning } = host;
  if (!voters.includes(self)) return undefined;
  const others = voters.filter((voter) => voter !== lost);
  const rank = (others.indexOf(self) + group) % others.length;
  const step = tuning.campaignSpreadMs / others.length;
  return step * (rank + 0.4 * host.random());
}

/** Records elections of a group: from when no leader is known until one is. */
export class ElectionTrace {
  readonly #tracer: RaftTracer;
  readonly #group: number;
  #span: RaftSpan | undefined;

  constructor(tracer: RaftTracer, group: number) {
    this.#tracer = tracer;
    this.#group = group;
  }

  observe(leader: number, term: number): void {
    if (leader === 0) {
      this.#span ??= this.#tracer.begin('election', this.#group, term);
      return;
    }
    this.#span?.note('leader', leader);
    this.#span?.note('term', term);
    this.end();
  }

  end(error?: Error): void {
    this.#span?.end(error);
    this.#span = undefined;
  }
}
