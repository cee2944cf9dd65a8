import { beforeEach, describe, expect, it } from 'vitest';
import { Absences } from './absences.ts';
import type { MemberRecord } from './types.ts';

const boundMs = 60_000;
let now: number;
let absences: Absences;

function down(stateSince: number, rest: Partial<MemberRecord> = {}): MemberRecord {
  const names = { number: 2, id: 'b', address: '', admin: '', zone: '', incarnation: '1' };
  return { ...names, commandVersion: 1, joinedAt: 0, state: 'down', stateSince, ...rest };
}

beforeEach(() => {
  now = 5000;
  absences = new Absences({ monotonic: () => now });
});

describe('a member that is down', () => {
  it.each([0, 5000, 1e15])(
    'is gone when it was seen down for the bound, whatever the time in its record: %i',
    (since) => {
      const member = down(since);
      absences.note([member]);
      now += boundMs - 1;
      absences.note([member]);
      expect(absences.isGone(member, boundMs)).toBe(false);
      now += 1;
      expect(absences.isGone(member, boundMs)).toBe(true);
    },
  );

  it('is waited for anew when it was back meanwhile, also if that was not seen', () => {
    absences.note([down(1)]);
    now += boundMs;
    absences.note([down(1, { state: 'up', stateSince: 2 })]);
    absences.note([down(3)]);
    expect(absences.isGone(down(3), boundMs)).toBe(false);
    now += boundMs;
    expect(absences.isGone(down(3), boundMs)).toBe(true);
    absences.note([down(4)]);
    expect(absences.isGone(down(4), boundMs)).toBe(false);
  });

  it('is waited for the whole bound by a node that has only just come to know of it', () => {
    now += 10 * boundMs;
    expect(absences.isGone(down(1), boundMs)).toBe(false);
    absences.note([down(1)]);
    expect(absences.isGone(down(1), boundMs)).toBe(false);
  });

  it('is gone at once when another one came in its place', () => {
    expect(absences.isGone(down(1, { replacedBy: 3 }), boundMs)).toBe(true);
  });
});
