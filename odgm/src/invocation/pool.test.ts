import type { EdgeChannel } from '@oaas/commons/grpc/edge';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { simulatedTime } from '@oaas/commons/testkit';
import { systemRandom } from '@oaas/commons/time/system';
import { invoke } from '@oaas/proto';
import { expect, it } from 'vitest';
import { ClientPool } from './pool.ts';

/** A pool whose channels say when they close, and which have calls. */
function pooled(addressesMax?: number) {
  const { clock, timers, advance } = simulatedTime();
  const closed: string[] = [];
  const busy = new Set<string>();
  const openChannel = (address: string): EdgeChannel => {
    const channel = createEdgeChannel(address, { clock, timers, random: systemRandom });
    return {
      addresses: channel.addresses,
      clock,
      caller: (path, method) => channel.caller(path, method),
      ready: (timeoutMs) => channel.ready(timeoutMs),
      get isBusy() {
        return busy.has(address);
      },
      close: () => {
        closed.push(address);
        channel.close();
      },
    };
  };
  const options = { openChannel, clock, timers, idleMs: 60_000, addressesMax };
  return { pool: new ClientPool(invoke.OprcFunctionDefinition, options), closed, busy, advance };
}

it('a pool lets go of an address that nobody has called for a while, but of none with calls under way', async () => {
  const { pool, closed, busy, advance } = pooled();
  const first = pool.client('a:1');
  pool.client('b:1');
  pool.client('c:1');
  busy.add('b:1');
  await advance(40_000);
  expect(pool.client('a:1')).toBe(first);
  await advance(40_000);
  expect(closed).toEqual(['c:1']);
  await advance(40_000);
  expect(closed).toEqual(['c:1', 'a:1']);
  expect(pool.client('a:1')).not.toBe(first);
  busy.clear();
  await advance(80_000);
  expect(closed.slice(2).sort()).toEqual(['a:1', 'b:1']);
  pool.close();
});

it('a pool that is full closes what was not called for longest, and refuses when all have calls', async () => {
  const { pool, closed, busy, advance } = pooled(2);
  for (const address of ['a:1', 'b:1', 'a:1']) {
    pool.client(address);
    await advance(10);
  }
  pool.client('c:1');
  expect(closed).toEqual(['b:1']);
  busy.add('a:1').add('c:1');
  expect(() => pool.client('d:1')).toThrow('calls to 2 addresses are under way');
  pool.close();
});
