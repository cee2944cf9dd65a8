import { oaasError } from '@oaas/commons/errors';
import type { Stamp } from '../../merge/index.ts';
import type { Key } from '../../merkle/index.ts';
import { Reader, Writer } from '../wire.ts';
import type { Announcement } from './types.ts';

/** Requests on the channel of eventual shards begin with one of these. Messages are {@link encodeStates} without it. */
export const requests = { gossip: 1, pages: 2, states: 3, push: 4, done: 5, hello: 6 } as const;

/**
 * Epoch of a replica that is no part of the shard any more and hands over what it still has: it may ask for `hello`,
 * `pages` and `push`. Real epochs are 1 and more.
 */
export const formerEpoch = 0;

/** From a replica to a replica: both by their epochs, so that one that was made anew is not taken for the old one. */
export interface Head {
  readonly shard: number;
  readonly fromEpoch: number;
  readonly toEpoch: number;
}

export interface Addressed {
  readonly head: Head;
  readonly announcement: Announcement;
}

const headBytes = 24;
const announcementBytes = 128;

function writeHead(out: Writer, { shard, fromEpoch, toEpoch }: Head): void {
  out.number(shard);
  out.number(fromEpoch);
  out.number(toEpoch);
}

function readHead(from: Reader): Head {
  return { shard: from.number(), fromEpoch: from.number(), toEpoch: from.number() };
}

function writeStamp(out: Writer, { ms, counter, member }: Stamp): void {
  out.number(ms);
  out.number(counter);
  out.number(member);
}

function readStamp(from: Reader): Stamp {
  return { ms: from.number(), counter: from.number(), member: from.number() };
}

function writeAnnouncement(out: Writer, { root, stamp, cut, membership, isComplete }: Announcement): void {
  out.reserve(announcementBytes);
  out.u8(isComplete ? 1 : 0);
  out.u8(root.length / 2);
  out.raw(Buffer.from(root, 'hex'));
  writeStamp(out, stamp);
  writeStamp(out, cut);
  out.number(membership);
}

function readAnnouncement(from: Reader): Announcement {
  const isComplete = from.u8() === 1;
  const root = from.raw(from.u8()).toString('hex');
  return { isComplete, root, stamp: readStamp(from), cut: readStamp(from), membership: from.number() };
}

/** Count, then head and announcement of each. */
export function encodeGossip(all: readonly Addressed[]): Uint8Array {
  const out = new Writer(16 + all.length * (headBytes + announcementBytes));
  out.u8(requests.gossip);
  out.number(all.length);
  for (const { head, announcement } of all) {
    out.reserve(headBytes);
    writeHead(out, head);
    writeAnnouncement(out, announcement);
  }
  return out.finish();
}

export function decodeGossip(from: Reader): Addressed[] {
  return Array.from({ length: bounded(from.number()) }, () => ({
    head: readHead(from),
    announcement: readAnnouncement(from),
  }));
}

/** Per announcement, in their order: 1 and the answering replica's, or 0 where there is none that knows the asking one. */
export function encodeAnswers(answers: readonly (Announcement | undefined)[]): Uint8Array {
  const out = new Writer(16 + answers.length * announcementBytes);
  for (const answer of answers) {
    out.reserve(1);
    out.u8(answer === undefined ? 0 : 1);
    if (answer !== undefined) writeAnnouncement(out, answer);
  }
  return out.finish();
}

export function decodeAnswers(bytes: Uint8Array, count: number): (Announcement | undefined)[] {
  const from = new Reader(bytes);
  return Array.from({ length: count }, () => (from.u8() === 1 ? readAnnouncement(from) : undefined));
}

/** Head, then whatever the request carries. */
export function encodeRequest(type: number, head: Head, body: Uint8Array): Uint8Array[] {
  const out = new Writer(headBytes + 1);
  out.u8(type);
  writeHead(out, head);
  return [out.finish(), body];
}

/** What is left of `from` is the body. */
export function decodeHead(from: Reader): Head {
  return readHead(from);
}

/** A message: the head, and states. */
export function encodeStates(head: Head, states: Uint8Array): Uint8Array[] {
  const out = new Writer(headBytes);
  writeHead(out, head);
  return [out.finish(), states];
}

export function bodyOf(from: Reader): Uint8Array {
  return from.raw(from.bytes.length - from.at);
}

/** Most bytes of states in the answer, then the keys, each after its length. */
export function encodeKeys(maxBytes: number, keys: readonly Key[]): Uint8Array {
  const out = new Writer(keys.reduce((sum, key) => sum + 4 + key.length, 16));
  out.number(maxBytes);
  for (const key of keys) {
    out.number(key.length);
    out.raw(Buffer.from(key, 'latin1'));
  }
  return out.finish();
}

export function decodeKeys(from: Reader): { readonly maxBytes: number; readonly keys: Key[] } {
  const maxBytes = from.number();
  const keys: Key[] = [];
  while (!from.isAtEnd) keys.push(from.raw(from.number()).toString('latin1'));
  return { maxBytes, keys };
}

/** For how many of the keys, and their states. */
export function encodeTaken(count: number, states: Uint8Array): Uint8Array[] {
  const out = new Writer(8);
  out.number(count);
  return [out.finish(), states];
}

export function decodeTaken(bytes: Uint8Array): { readonly count: number; readonly states: Uint8Array } {
  const from = new Reader(bytes);
  return { count: from.number(), states: bodyOf(from) };
}

export function encodeHello(announcement: Announcement): Uint8Array {
  return encodeAnswers([announcement]);
}

/** The two announcements that were exchanged, the asking replica's first, and how many keys differed. */
export function encodeDone(mine: Announcement, theirs: Announcement, found: number): Uint8Array {
  const out = new Writer(2 * announcementBytes + 8);
  writeAnnouncement(out, mine);
  writeAnnouncement(out, theirs);
  out.reserve(8);
  out.number(found);
  return out.finish();
}

export function decodeDone(from: Reader): {
  readonly mine: Announcement;
  readonly theirs: Announcement;
  readonly found: number;
} {
  return { mine: readAnnouncement(from), theirs: readAnnouncement(from), found: from.number() };
}

const maxAnnouncements = 100_000;

function bounded(count: number): number {
  if (count > maxAnnouncements) throw oaasError('InvalidArgument', 'too many announcements in one message');
  return count;
}
