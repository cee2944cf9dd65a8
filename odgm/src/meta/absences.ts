import type { Clock } from '@oaas/commons/time';
import { FirstSeen } from './first-seen.ts';
import type { MemberRecord } from './types.ts';

/** Whether what the member holds is to be made anew elsewhere: it never comes back, or was away for too long. */
export type IsGone = (member: MemberRecord) => boolean;

/** How long members have been down, from when this node first saw them recorded so: see {@link FirstSeen}. */
export class Absences {
  readonly #seen: FirstSeen;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#seen = new FirstSeen(clock);
  }

  /** To be called after changes, with all members. */
  note(members: Iterable<MemberRecord>): void {
    this.#seen.note([...members].filter(({ state }) => state === 'down').map(absence));
  }

  /** @param boundMs how long one may be away. */
  isGone(member: MemberRecord, boundMs: number): boolean {
    if (member.replacedBy !== undefined) return true;
    const ms = member.state === 'down' ? this.#seen.ageOf(absence(member)) : undefined;
    return ms !== undefined && ms >= boundMs;
  }
}

/** The time in the record tells one absence from the next. */
function absence({ number, stateSince }: MemberRecord): string {
  return `${number} ${stateSince}`;
}
