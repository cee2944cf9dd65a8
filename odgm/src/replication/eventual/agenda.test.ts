import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Agenda } from './agenda.ts';

interface Item {
  at: number;
  waits: number | undefined;
  isIn: boolean;
}

describe('an agenda', () => {
  it('gives what is due as one that looks at everything does', () => {
    const act = fc.record({
      type: fc.constantFrom('put', 'wait', 'wake', 'remove', 'take'),
      item: fc.nat(5),
      member: fc.nat(1),
      ms: fc.nat(400),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const items: Item[] = Array.from({ length: 6 }, () => ({ at: 0, waits: undefined, isIn: false }));
        const agenda = new Agenda<Item>(100, ({ at }) => at);
        let now = 1000;
        for (const { type, item: index, member, ms } of acts) {
          const item = items[index]!;
          switch (type) {
            case 'put':
              Object.assign(item, { at: now + ms - 200, waits: undefined, isIn: true });
              agenda.put(item);
              break;
            case 'wait':
              Object.assign(item, { waits: member, isIn: true });
              agenda.wait(item, member);
              break;
            case 'wake':
              for (const one of items) if (one.waits === member) one.waits = undefined;
              agenda.wake(member);
              break;
            case 'remove':
              Object.assign(item, { waits: undefined, isIn: false });
              agenda.remove(item);
              break;
            case 'take': {
              now += ms;
              const due = items.filter(({ isIn, waits, at }) => isIn && waits === undefined && at <= now);
              expect(new Set(agenda.takeDue(now))).toEqual(new Set(due));
              for (const one of due) one.isIn = false;
            }
          }
        }
      }),
    );
  });

  it('does not touch what is not due, nor what waits, however often it is asked', () => {
    let touched = 0;
    const agenda = new Agenda<number>(100, (at) => {
      touched += 1;
      return at;
    });
    for (let i = 0; i < 10_000; i++) agenda.put(30_000 + i);
    for (let i = 0; i < 10_000; i++) agenda.wait(i, 1);
    touched = 0;
    for (let now = 0; now < 30_000; now += 100) expect(agenda.takeDue(now)).toEqual([]);
    expect(touched).toBe(0);
    expect(agenda.takeDue(30_099)).toHaveLength(100);
    expect(touched).toBeLessThan(300);
  });
});
