import { describe, expect, it } from 'vitest';
import { EventualGrid, put } from '../../../testkit/eventual.ts';

describe('the answer to a mutation', () => {
  it('tells of no other mutation that is not stored yet: a conflict waits until what it conflicts with is', async () => {
    const grid = new EventualGrid({ seed: 1, replicas: 2, writeMs: 500 });
    grid.start();
    await grid.world.run(5000);
    const shard = grid.member(1).shard!;
    const answers: string[] = [];
    void shard.mutate(put('o', { a: 'first' })).then(({ version }) => answers.push(`version ${String(version)}`));
    const late = { ...put('o', { a: 'second' }), expectedVersion: 7 };
    void shard.mutate(late).catch((error: unknown) => answers.push((error as { code: string }).code));
    await grid.world.run(400);
    expect(answers).toEqual([]);
    await grid.world.run(2000);
    expect(answers).toEqual(['version 1', 'VersionConflict']);
  });

  it('is a refusal when too many bytes of others wait, until they are stored', async () => {
    const grid = new EventualGrid({ seed: 1, replicas: 1, writeMs: 500 });
    grid.start();
    await grid.world.run(5000);
    const shard = grid.member(1).shard!;
    const text = 'x'.repeat(2 ** 20);
    const results = Array.from({ length: 140 }, (_, i) =>
      shard.mutate(put(`o${String(i)}`, { a: text })).then(
        () => 'stored',
        (error: unknown) => (error as { code: string }).code,
      ),
    );
    await grid.world.run(60_000);
    const all = await Promise.all(results);
    expect(all.slice(0, 63)).toEqual(Array(63).fill('stored'));
    expect(all.slice(63)).toEqual(Array(77).fill('ResourceExhausted'));
    const late = shard.mutate(put('late', { a: text }));
    await grid.world.run(5000);
    await expect(late).resolves.toMatchObject({ version: 1 });
  });
});
