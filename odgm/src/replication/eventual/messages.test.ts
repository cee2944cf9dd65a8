import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader } from '../wire.ts';
import {
  decodeAnswers,
  decodeDone,
  decodeGossip,
  decodeLeaves,
  decodeVersions,
  encodeAnswers,
  encodeDone,
  encodeGossip,
  encodeLeaves,
  encodeVersions,
  requests,
} from './messages.ts';
import type { Announcement } from './types.ts';

const number = fc.maxSafeNat();
const stamp = fc.record({ ms: number, counter: number, member: number });
const digest = fc.uint8Array({ minLength: 16, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const former = fc.record({ root: digest, stamp, cut: stamp, membership: number, isComplete: fc.boolean() });
const announcement = fc
  .tuple(former, fc.option(digest, { nil: undefined }))
  .map(([one, refs]): Announcement => (refs === undefined ? one : { ...one, refs }));
const head = fc.record({ shard: number, fromEpoch: number, toEpoch: number });

const withoutRefs = ({ root, stamp: of, cut, membership, isComplete }: Announcement): Announcement => ({
  ...{ root, stamp: of, cut, membership, isComplete },
});

/** What a former build writes, which ends before the digests of labels and branches: each of them is one byte then, 0. */
const formerly = (bytes: Uint8Array, count: number): Uint8Array => bytes.subarray(0, bytes.length - count);

function gossipOf(bytes: Uint8Array): ReturnType<typeof decodeGossip> {
  const reader = new Reader(bytes);
  expect(reader.u8()).toBe(requests.gossip);
  return decodeGossip(reader);
}

describe('what replicas say of themselves', () => {
  it('arrives as it was sent', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ head, announcement }), { maxLength: 5 }), (all) => {
        expect(gossipOf(encodeGossip(all))).toEqual(all);
        const answers = [undefined, ...all.map((one) => one.announcement)];
        expect(decodeAnswers(encodeAnswers(answers), answers.length)).toEqual(answers);
      }),
    );
    fc.assert(
      fc.property(announcement, announcement, number, (mine, theirs, found) => {
        expect(decodeDone(new Reader(encodeDone(mine, theirs, found)))).toEqual({ mine, theirs, found });
      }),
    );
  });

  it('is understood by members that run a former build, and what they say is understood', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ head, announcement }), { minLength: 1, maxLength: 5 }), (all) => {
        const plain = all.map((one) => ({ head: one.head, announcement: withoutRefs(one.announcement) }));
        const announcements = plain.map((one) => one.announcement);
        const [gossip, answers] = [
          formerly(encodeGossip(plain), all.length),
          formerly(encodeAnswers(announcements), all.length),
        ];
        expect(gossipOf(gossip)).toEqual(plain);
        expect(decodeAnswers(answers, all.length)).toEqual(announcements);
        // They read as many as there are, from the beginning, and nothing behind that.
        expect(encodeGossip(all).subarray(0, gossip.length)).toEqual(gossip);
        expect(encodeAnswers(all.map((one) => one.announcement)).subarray(0, answers.length)).toEqual(answers);
      }),
    );
    fc.assert(
      fc.property(announcement, announcement, number, (mine, theirs, found) => {
        const done = formerly(encodeDone(withoutRefs(mine), withoutRefs(theirs), found), 2);
        expect(decodeDone(new Reader(done))).toEqual({ mine: withoutRefs(mine), theirs: withoutRefs(theirs), found });
        expect(encodeDone(mine, theirs, found).subarray(0, done.length)).toEqual(done);
      }),
    );
  });
});

describe('states of versions', () => {
  it('are asked for by key and leaf, and come in that order, also where some are not kept', () => {
    const leaves = [
      { key: 'a', leaf: Buffer.from([1, 2]) },
      { key: 'a\u0000k\u00ff', leaf: Buffer.from([3]) },
    ];
    expect(decodeLeaves(new Reader(encodeLeaves(100, leaves)))).toEqual({ maxBytes: 100, leaves });
    const states = [Buffer.from('one'), undefined, Buffer.alloc(0)];
    expect(decodeVersions(encodeVersions(states))).toEqual(states);
  });
});
