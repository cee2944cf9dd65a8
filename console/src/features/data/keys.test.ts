import { describe, expect, it } from 'vitest';
import { keys, staleAfter, staleAfterAll } from './keys.ts';

describe('what an event makes out of date', () => {
  it('a changed source is read anew itself, in lists and in the overview, while other sources stay', () => {
    const stale = staleAfter({ topic: 'source', key: 'gitops' });
    expect(stale).toContainEqual(keys.source('gitops'));
    expect(stale).toContainEqual(keys.overview);
    expect(stale).not.toContainEqual(keys.source('other'));
  });

  it('a thousand changed records ask for the list once', () => {
    const events = Array.from({ length: 1000 }, (_, index) => ({ topic: 'record' as const, key: `r${index}` }));
    const stale = staleAfterAll(events) ?? [];
    expect(stale.filter((key) => key[1] === 'list')).toHaveLength(1);
    expect(stale).toHaveLength(1003);
  });

  it('after a reset everything is out of date, whatever came with it', () => {
    expect(
      staleAfterAll([
        { topic: 'source', key: 'a' },
        { topic: 'reset', key: '' },
      ]),
    ).toBeNull();
  });

  it('a topic that this console does not know yet makes everything out of date', () => {
    expect(staleAfter({ topic: 'task' as 'run', key: 'x' })).toBeNull();
  });
});
