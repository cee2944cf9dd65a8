import { data } from '@oaas/proto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  deathReasons,
  decodeCounts,
  decodeEvent,
  decodeLetter,
  encodeCounts,
  encodeEvent,
  encodeLetter,
  eventKey,
  letterKey,
  refOfEventKey,
  refOfLetterKey,
} from './outbox-records.ts';

const whole = fc.maxSafeNat();
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const minor = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const event = fc.record({
  origin: fc.record({ major: whole, minor: whole, by: whole }),
  type: fc.constantFrom(...Object.values(data.EventType).filter((type) => type >= 0)),
  objectId: fc.stringMatching(/^[a-z0-9._:-]{0,160}$/),
  key: fc.string({ unit: 'grapheme' }),
  versions: fc.tuple(whole, whole),
  at: time,
  depth: whole,
  target: bytes,
  payload: fc.option(bytes, { nil: undefined }),
});
const location = { shard: 7, generation: 3 };

it('an event, a dead letter and the counts are read back as they were, however large their numbers are', () => {
  fc.assert(
    fc.property(event, whole, fc.string(), fc.constantFrom(...deathReasons), (original, attempts, error, reason) => {
      const encoded = encodeEvent(original);
      expect(decodeEvent(encoded)).toEqual(original);
      const letter = decodeLetter(encodeLetter({ reason, attempts, error }, encoded));
      expect(letter.death).toEqual({ reason, attempts, error });
      expect(decodeEvent(letter.event)).toEqual(original);
      const counts = { events: attempts, eventBytes: attempts, letters: attempts, letterBytes: attempts, dropped: 1 };
      expect(decodeCounts(encodeCounts(counts))).toEqual(counts);
    }),
  );
});

it('keys have the order of their places', () => {
  fc.assert(
    fc.property(time, minor, time, time, minor, time, (major, n, diedAt, otherMajor, otherN, otherDiedAt) => {
      const [a, b] = [
        { diedAt, major, minor: n },
        { diedAt: otherDiedAt, major: otherMajor, minor: otherN },
      ];
      expect(refOfEventKey(eventKey(location, a))).toEqual({ major, minor: n });
      expect(refOfLetterKey(letterKey(location, a))).toEqual(a);
      const byPlace = a.major - b.major || a.minor - b.minor;
      expect(Math.sign(Buffer.compare(eventKey(location, a), eventKey(location, b)))).toBe(Math.sign(byPlace));
      const byTime = Math.sign(a.diedAt - b.diedAt || byPlace);
      expect(Math.sign(Buffer.compare(letterKey(location, a), letterKey(location, b)))).toBe(byTime);
    }),
  );
});
