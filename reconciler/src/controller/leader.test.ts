import { oaasError } from '@oaas/commons/errors';
import { seededRandom, simulatedTime, type SimulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import { LeaderElector, type LeaseRecord, type LeaseStore } from './leader.ts';

/** One lease, with the optimistic locking of the API server. */
class MemoryLease {
  record: LeaseRecord | undefined;
  version = 0;

  store(isReachable: () => boolean = () => true): LeaseStore {
    const call = <T>(run: () => T): Promise<T> =>
      isReachable() ? Promise.resolve().then(run) : Promise.reject(oaasError('Unavailable', 'no answer'));
    return {
      read: () =>
        call(() => (this.record === undefined ? undefined : { record: this.record, version: String(this.version) })),
      write: (record, version) =>
        call(() => {
          const current = this.record === undefined ? undefined : String(this.version);
          if (current !== version) throw oaasError('Conflict', 'changed meanwhile');
          this.record = record;
          this.version += 1;
        }),
    };
  }
}

function candidate(name: string, lease: LeaseStore, time: SimulatedTime) {
  const log: string[] = [];
  const elector = new LeaderElector({
    lease,
    identity: name,
    clock: time.clock,
    timers: time.timers,
    random: seededRandom(name.length),
    onElected: () => log.push('elected'),
    onLost: () => log.push('lost'),
  });
  return { elector, log };
}

describe('LeaderElector', () => {
  it('lets one of several candidates lead, and another only when the first has gone', async () => {
    const time = simulatedTime();
    const lease = new MemoryLease();
    const a = candidate('a', lease.store(), time);
    const bb = candidate('bb', lease.store(), time);
    a.elector.start();
    await time.advance(1);
    bb.elector.start();
    await time.advance(60_000);
    expect([a.log, bb.log]).toEqual([['elected'], []]);
    await a.elector.stop();
    expect(lease.record?.holderIdentity).toBe('');
    await time.advance(3000);
    expect(bb.log).toEqual(['elected']);
    expect(lease.record?.leaseTransitions).toBe(1);
    await bb.elector.stop();
  });

  it('waits the whole lease of a leader that died without a word', async () => {
    const time = simulatedTime();
    const lease = new MemoryLease();
    lease.record = {
      holderIdentity: 'dead',
      leaseDurationSeconds: 15,
      acquireTime: 0,
      renewTime: 0,
      leaseTransitions: 3,
    };
    const b = candidate('b', lease.store(), time);
    b.elector.start();
    await time.advance(14_000);
    expect(b.log).toEqual([]);
    await time.advance(6000);
    expect(b.log).toEqual(['elected']);
    await b.elector.stop();
  });

  it('steps down before others may take over when it cannot renew', async () => {
    const time = simulatedTime();
    const lease = new MemoryLease();
    let isReachable = true;
    const a = candidate(
      'a',
      lease.store(() => isReachable),
      time,
    );
    const bb = candidate('bb', lease.store(), time);
    a.elector.start();
    await time.advance(5000);
    bb.elector.start();
    isReachable = false;
    await time.advance(13_000);
    expect([a.log, bb.log]).toEqual([['elected', 'lost'], []]);
    expect(a.elector.isLeader).toBe(false);
    await time.advance(10_000);
    expect(bb.log).toEqual(['elected']);
    await a.elector.stop();
    await bb.elector.stop();
  });

  it('steps down in time also when the server takes its calls and never answers', async () => {
    const time = simulatedTime();
    const lease = new MemoryLease();
    const inner = lease.store();
    let hangs = false;
    const hanging = (signal: AbortSignal): Promise<never> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(oaasError('Cancelled', 'given up'));
        });
      });
    const a = candidate(
      'a',
      {
        read: (signal) => (hangs ? hanging(signal) : inner.read(signal)),
        write: (record, version, signal) => (hangs ? hanging(signal) : inner.write(record, version, signal)),
      },
      time,
    );
    a.elector.start();
    await time.advance(5000);
    hangs = true;
    // Others respect the lease for 15 s after it was written last.
    await time.advance(12_000);
    expect(a.log).toEqual(['elected', 'lost']);
    await a.elector.stop();
  });
});
