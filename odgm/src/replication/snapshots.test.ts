import { oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import type { Mesh } from '../mesh/index.ts';
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

it('a snapshot whose receiver cannot be reached gives way to one that waits for its place', async () => {
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
    state: 'present' as const,
    epoch: 1,
    generation: 1,
    applied: 20,
    appliedTerm: 7,
    members: noMembers,
  };
  const value = encodeRecord(record, encodeMembers(noMembers));
  await engine.write([1, 2].map((number) => ({ type: 'put', key: recordKey(number), value })));
  const mesh = {
    request: (to: number) =>
      to === 3
        ? Promise.reject(oaasError('Unavailable', 'there is no link'))
        : Promise.resolve(encodeAnswer({ kind: 'go', after: undefined })),
    stream: () => ({ write: () => Promise.resolve(), end: () => Promise.resolve(), cancel: () => undefined }),
  } as unknown as Mesh;
  const sender = new SnapshotSender({
    ...{ engine, mesh, channels, clock: time.clock, timers: time.timers, random: seededRandom(1), resumeMs },
    ...{ rateOf: undefined, maxSnapshots: 1, chunkBytes: 1000, tracer: undefined },
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  sender.send(group(1), 3, 7);
  await time.advance(10_000);
  expect(ended).toEqual([]);
  sender.send(group(2), 4, 7);
  await time.advance(1000);
  expect(ended).toEqual(['1 to 3 false at 10200', '2 to 4 true at 10200']);
  sender.close();
});
