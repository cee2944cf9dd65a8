import { oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import type { Mesh, RateLimit, StreamOptions } from '../mesh/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { Cleaner } from './cleaner.ts';
import { encodeMembers, encodeRecord, noMembers } from './group-record.ts';
import type { RaftGroup } from './group.ts';
import { recordKey, statePrefix } from './keys.ts';
import { encodeAnswer, encodeState, type SnapshotOffer } from './snapshot-codec.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';

const resumeMs = 60_000;
const channels = { raft: 2, snapshotOffer: 3, snapshot: 4 };

/** What senders and receivers ask of a group. */
function groupOf(group: number, more: object = {}): RaftGroup {
  const answers = { isLeader: true, term: 7, epoch: 1, generation: 1, isMember: () => true, epochOf: () => 1 };
  return { group, ...answers, takeSnapshot: () => undefined, ...more } as unknown as RaftGroup;
}

function offerOf(group: number, transfer: number): SnapshotOffer {
  return { transfer, group, fromEpoch: 1, toEpoch: 1, term: 7, index: 20, indexTerm: 7, members: noMembers };
}

describe('a member that takes one snapshot at a time', () => {
  const start = () => {
    const time = simulatedTime();
    const engine = createMemoryEngine();
    const cleaner = new Cleaner(engine, time.timers, (error) => {
      throw error;
    });
    const receiver = new SnapshotReceiver({
      ...{ engine, timers: time.timers, cleaner, self: 2, maxSnapshots: 1, resumeMs, tracer: undefined },
      afterPass: (run) => {
        run();
      },
    });
    const offered = (group: number, transfer: number) =>
      receiver.offered(groupOf(group), 1, offerOf(group, transfer)).then(({ kind }) => kind);
    return { time, receiver, offered, engine };
  };

  it('keeps one whose sender is silent for a while to be resumed, and gives it up when another one comes', async () => {
    const { time, offered } = start();
    expect(await offered(1, 11)).toBe('go');
    await time.advance(4900);
    expect(await offered(2, 12)).toBe('busy');
    expect(await offered(1, 11)).toBe('go');
    await time.advance(4900);
    expect(await offered(2, 12)).toBe('busy');
    await time.advance(200);
    expect(await offered(2, 12)).toBe('go');
    expect(await offered(1, 11)).toBe('busy');
  });

  it('keeps it for as long as it may be resumed when no other one comes', async () => {
    const { time, receiver, offered } = start();
    expect(await offered(1, 11)).toBe('go');
    await time.advance(resumeMs - 100);
    expect(receiver.active).toBe(1);
    await time.advance(200);
    expect(receiver.active).toBe(0);
  });

  it('does not give up one that is on its way, however long it takes', async () => {
    const { time, receiver, offered, engine } = start();
    expect(await offered(1, 11)).toBe('go');
    let arrive: (() => void) | undefined;
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      await new Promise<void>((resolve) => (arrive = resolve));
      yield* encodeState(engine, statePrefix(9, 1), undefined, 1000);
    };
    const received = receiver.receive(groupOf(1), 11, chunks());
    await time.advance(2 * resumeMs);
    expect(await offered(2, 12)).toBe('busy');
    arrive?.();
    await received;
    expect(await offered(2, 12)).toBe('go');
  });
});

describe('a sender with one place', () => {
  /** Member 3 cannot be reached, member 5 takes one chunk and hangs; others take all. */
  async function start(rateOf?: () => RateLimit) {
    const time = simulatedTime();
    const engine = createMemoryEngine();
    const ended: string[] = [];
    const group = (number: number): RaftGroup =>
      groupOf(number, {
        reportSnapshot: (to: number, succeeded: boolean) => {
          ended.push(`${String(number)} to ${String(to)} ${String(succeeded)} at ${String(time.clock.monotonic())}`);
        },
      });
    const record = {
      ...{ state: 'present' as const, epoch: 1, generation: 1 },
      ...{ applied: 20, appliedTerm: 7, members: noMembers },
    };
    const value = encodeRecord(record, encodeMembers(noMembers));
    await engine.write([
      ...[1, 2].map((number) => ({ type: 'put' as const, key: recordKey(number), value })),
      ...[1, 2, 3].map((number) => ({
        type: 'put' as const,
        key: Buffer.concat([statePrefix(1, 1), Buffer.from([number])]),
        value: Buffer.alloc(1500),
      })),
    ]);
    const mesh = {
      request: (to: number) =>
        to === 3
          ? Promise.reject(oaasError('Unavailable', 'there is no link'))
          : Promise.resolve(encodeAnswer({ kind: 'go', after: undefined })),
      stream: (to: number, _channel: number, _header: Uint8Array, { rate }: StreamOptions) => {
        let fail: (error: Error) => void = () => undefined;
        const isOver = new AbortController().signal;
        let chunks = 0;
        return {
          write: async (chunk: Uint8Array) => {
            await rate?.take(chunk.length, isOver);
            chunks += 1;
            if (to === 5 && chunks > 1) await new Promise((_, reject) => (fail = reject));
          },
          end: () => Promise.resolve(),
          cancel: () => {
            fail(oaasError('Cancelled', 'the stream was given up'));
          },
        };
      },
    } as unknown as Mesh;
    const sender = new SnapshotSender({
      ...{ engine, mesh, channels, clock: time.clock, timers: time.timers, random: seededRandom(1), resumeMs },
      ...{ rateOf, maxSnapshots: 1, chunkBytes: 1000, tracer: undefined },
      logger: createLogger({ service: 'test', level: 'silent' }),
    });
    return { time, ended, group, sender };
  }

  it('gives it to the next when a receiver cannot be reached', async () => {
    const { time, ended, group, sender } = await start();
    sender.send(group(1), 3, 7);
    await time.advance(10_000);
    expect(ended).toEqual([]);
    sender.send(group(2), 4, 7);
    await time.advance(1000);
    expect(ended).toEqual(['1 to 3 false at 10200', '2 to 4 true at 10200']);
    sender.close();
  });

  it('gives it to the next when a receiver has begun and then takes nothing more', async () => {
    const { time, ended, group, sender } = await start();
    sender.send(group(1), 5, 7);
    await time.advance(12_000);
    expect(ended).toEqual([]);
    sender.send(group(2), 4, 7);
    await time.advance(5000);
    expect(ended).toEqual(['1 to 5 false at 15000', '2 to 4 true at 15000']);
    sender.close();
  });

  it('keeps it free for those to come when such a receiver is the only one', async () => {
    const { time, ended, group, sender } = await start();
    sender.send(group(1), 5, 7);
    await time.advance(2 * resumeMs);
    expect(ended).toEqual([`1 to 5 false at ${String(resumeMs)}`]);
    sender.close();
  });

  it('waits for a throttle as long as it holds back', async () => {
    let pass: () => void = () => undefined;
    const { time, ended, group, sender } = await start(() => ({
      take: () => new Promise<void>((resolve) => (pass = resolve)),
    }));
    sender.send(group(1), 4, 7);
    sender.send(group(2), 4, 7);
    for (let chunk = 0; chunk < 10; chunk++) {
      await time.advance(10 * resumeMs);
      pass();
    }
    await time.advance(1000);
    expect(ended).toEqual([expect.stringContaining('1 to 4 true'), expect.stringContaining('2 to 4 true')]);
    sender.close();
  });
});
