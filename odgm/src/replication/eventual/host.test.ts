import { oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { simulatedTime } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { zeroStamp } from '../../merge/index.ts';
import type { LinkEvent, Mesh } from '../../mesh/index.ts';
import { Reader } from '../wire.ts';
import { EventualHost } from './host.ts';
import { decodeGossip, encodeAnswers } from './messages.ts';
import type { Announcement, EventualReplica } from './types.ts';

/** Replicas whose members 2 and 3 have the same as this one, over links that are as the test says. */
const shards = 100;
const announcement: Announcement = {
  ...{ root: '00', stamp: zeroStamp, cut: zeroStamp, membership: 1, isComplete: true },
};

let time: ReturnType<typeof simulatedTime>;
let host: EventualHost;
const up = new Set<number>();
const silent = new Set<number>();
/** Shards of each request, as `<member>:<shard>`. */
let asked: string[];
/** How often the host asked a replica where the others are. */
let looks: number;
let tellLink: (event: LinkEvent) => void;
/** What members that are silent are asked for. */
let answers: { readonly member: number; readonly answer: () => void; readonly fail: () => void }[];

beforeEach(() => {
  time = simulatedTime();
  up.clear();
  silent.clear();
  [asked, answers, looks] = [[], [], 0];
  host = new EventualHost({
    ...{ mesh: fakeMesh(), clock: time.clock, timers: time.timers, random: { next: () => 0.5 } as never, engines: [] },
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
});
afterEach(() => {
  host.close();
});

function fakeMesh(): Mesh {
  return {
    self: { number: 1 },
    isUp: (member: number) => up.has(member),
    onMessage: ignore,
    onRequest: ignore,
    onLink: (handler: typeof tellLink) => {
      tellLink = handler;
      return ignore;
    },
    request: (member: number, _channel: number, payload: Uint8Array) => {
      const reader = new Reader(payload);
      reader.u8();
      const gossip = decodeGossip(reader);
      for (const { head } of gossip) asked.push(`${String(member)}:${String(head.shard)}`);
      const equal = encodeAnswers(gossip.map(() => announcement));
      if (!silent.has(member)) return Promise.resolve(equal);
      return new Promise((resolve, reject) => {
        const fail = (): void => {
          reject(oaasError('Unavailable', 'the link is down'));
        };
        answers.push({ member, answer: () => resolve(equal), fail });
      });
    },
  } as unknown as Mesh;
}

function replica(shard: number): EventualReplica {
  return {
    ...{ shard, epoch: 1, isComplete: true, announce: () => Promise.resolve(announcement) },
    get members() {
      looks += 1;
      return [2, 3];
    },
    ...{ epochOf: () => 1, heard: ignore, completed: ignore, linkUp: ignore, pin: () => ignore },
  } as unknown as EventualReplica;
}

const ignore = (): void => undefined;

function attach(count: number): void {
  for (let shard = 1; shard <= count; shard++) host.attach(replica(shard));
}

function link(member: number, state: 'up' | 'down'): void {
  if (state === 'up') up.add(member);
  else up.delete(member);
  tellLink({ state, peer: { number: member }, reason: 'test' } as unknown as LinkEvent);
}

describe('the host of replicas that merge', () => {
  it('leaves idle ones alone until their time, and hurries again after a write', async () => {
    for (const member of [2, 3]) up.add(member);
    attach(shards);
    await time.advance(200_000);
    [asked, looks] = [[], 0];
    await time.advance(60_000);
    expect(asked).toHaveLength(2 * shards);
    expect(looks).toBeLessThan(20 * shards);
    asked = [];
    host.poke(7);
    await time.advance(1200);
    expect(asked.filter((one) => one.endsWith(':7'))).toHaveLength(1);
  });

  it('seldom looks at those whose members cannot be reached, and compares them once a link is up', async () => {
    attach(shards);
    await time.advance(1000);
    looks = 0;
    await time.advance(60_000);
    expect(looks).toBeLessThanOrEqual(61 * shards);
    link(3, 'up');
    await time.advance(100);
    expect(new Set(asked)).toEqual(new Set(Array.from({ length: shards }, (_, i) => `3:${String(i + 1)}`)));
  });

  it('has those that are due for a member that is being asked wait for its answer', async () => {
    up.add(2);
    silent.add(2);
    attach(1);
    await time.advance(200);
    expect(asked).toEqual(['2:1']);
    for (let shard = 2; shard <= shards; shard++) host.attach(replica(shard));
    await time.advance(200);
    looks = 0;
    await time.advance(5000);
    expect([asked.length, looks]).toEqual([1, 0]);
    silent.clear();
    answers[0]?.answer();
    await time.advance(100);
    expect(asked).toHaveLength(shards);
  });

  it('turns to another member when the link of the one that is being asked goes down', async () => {
    up.add(2);
    silent.add(2);
    attach(1);
    await time.advance(200);
    host.attach(replica(2));
    await time.advance(200);
    up.add(3);
    link(2, 'down');
    await time.advance(100);
    expect(asked).toEqual(['2:1', '3:2']);
    answers[0]?.fail();
    await time.advance(1200);
    expect(asked).toContain('3:1');
  });

  it('does not compare one that was detached while it was compared', async () => {
    up.add(2);
    silent.add(2);
    attach(1);
    await time.advance(200);
    host.detach(1);
    silent.clear();
    answers[0]?.answer();
    await time.advance(60_000);
    expect(asked).toEqual(['2:1']);
  });
});
