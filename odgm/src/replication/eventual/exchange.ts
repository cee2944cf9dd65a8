import { oaasError } from '@oaas/commons/errors';
import { directionOf } from '../../merge/index.ts';
import {
  decodePageResponse,
  type Difference,
  encodePageRequest,
  ExchangeInitiator,
  type Key,
} from '../../merkle/index.ts';
import { decodeTaken, encodeDone, encodeKeys, requests } from './messages.ts';
import type { Announcement, EventualReplica, ReplicaId } from './types.ts';

/** Bytes of states in one request or answer, as far as one state is not larger by itself. */
export const stateBytes = 512 * 1024;

export interface ExchangePort {
  /** Asks the other replica. */
  ask(type: number, body: Uint8Array): Promise<Uint8Array>;
  /** Resolves when so many bytes of states may have gone. */
  pace(bytes: number): Promise<void>;
}

/**
 * Brings two replicas together whose roots differ: walks their trees, and sends each what it lacks. What is found counts
 * as complete only when the whole walk came to its end and both sides have merged, on their disks, all that they were
 * sent; then both are told. `settle` is done before that, when much of what labels and branches name is there: see
 * `settleRefs`. Resolves with the number of keys that differed; rejects when it did not come to the end.
 */
export async function exchange(
  replica: EventualReplica,
  from: ReplicaId,
  mine: Announcement,
  theirs: Announcement,
  port: ExchangePort,
  settle: () => Promise<Announcement>,
): Promise<number> {
  const unpin = replica.pin(mine.root);
  try {
    const initiator = new ExchangeInitiator(replica.pages, { ours: mine.root, theirs: theirs.root });
    let found = 0;
    for (;;) {
      const step = initiator.step();
      if (step.type === 'fetch') {
        initiator.receive(decodePageResponse(await port.ask(requests.pages, encodePageRequest(step.request))));
        continue;
      }
      if (step.type === 'end') {
        if (step.reason === 'complete') break;
        throw oaasError('Unavailable', `an exchange ended early: ${step.reason}`);
      }
      found += step.differences.length;
      await take(replica, port, keysOf(step.differences, 'take'));
      await give(replica, port, keysOf(step.differences, 'give'));
    }
    await complete(replica, from, await settle(), theirs, found, port);
    return found;
  } finally {
    unpin();
  }
}

/** Tells both that each has what the other announced. */
export async function complete(
  replica: EventualReplica,
  from: ReplicaId,
  mine: Announcement,
  theirs: Announcement,
  found: number,
  port: ExchangePort,
): Promise<void> {
  await port.ask(requests.done, encodeDone(mine, theirs, found));
  replica.completed(from, { mine, theirs });
}

/**
 * Gives another replica all that this one has and it lacks, and takes nothing. What all replicas had long ago, and have
 * taken away since, it does not let in. Resolves with the number of keys that were given, once they are on its disk.
 */
export async function handOver(
  replica: EventualReplica,
  mine: Announcement,
  theirs: Announcement,
  port: ExchangePort,
): Promise<number> {
  const initiator = new ExchangeInitiator(replica.pages, { ours: mine.root, theirs: theirs.root });
  let given = 0;
  for (;;) {
    const step = initiator.step();
    if (step.type === 'fetch') {
      initiator.receive(decodePageResponse(await port.ask(requests.pages, encodePageRequest(step.request))));
    } else if (step.type === 'found') {
      const keys = keysOf(step.differences, 'give');
      await give(replica, port, keys);
      given += keys.length;
    } else if (step.reason === 'complete') {
      return given;
    } else {
      throw oaasError('Unavailable', `a hand-over ended early: ${step.reason}`);
    }
  }
}

/** The first keys in which two replicas differ; nothing is sent but pages. */
export async function compare(
  replica: EventualReplica,
  mine: Announcement,
  theirs: Announcement,
  port: ExchangePort,
  max: number,
): Promise<{ readonly differences: readonly Difference[]; readonly hasMore: boolean }> {
  const unpin = replica.pin(mine.root);
  try {
    const initiator = new ExchangeInitiator(replica.pages, { ours: mine.root, theirs: theirs.root });
    const differences: Difference[] = [];
    for (;;) {
      const step = initiator.step();
      if (step.type === 'fetch') {
        initiator.receive(decodePageResponse(await port.ask(requests.pages, encodePageRequest(step.request))));
      } else if (step.type === 'found') {
        differences.push(...step.differences);
        if (differences.length > max) return { differences: differences.slice(0, max), hasMore: true };
      } else if (step.reason === 'complete') {
        return { differences, hasMore: false };
      } else {
        throw oaasError('Unavailable', `a comparison ended early: ${step.reason}`);
      }
    }
  } finally {
    unpin();
  }
}

function keysOf(differences: readonly Difference[], direction: 'take' | 'give'): Key[] {
  return differences
    .filter(({ ours, theirs }) => {
      const wanted = directionOf(ours, theirs);
      return wanted === direction || wanted === 'both';
    })
    .map(({ key }) => key);
}

async function take(replica: EventualReplica, port: ExchangePort, keys: readonly Key[]): Promise<void> {
  for (let at = 0; at < keys.length;) {
    const { count, states } = decodeTaken(await port.ask(requests.states, encodeKeys(stateBytes, keys.slice(at))));
    if (count === 0) throw oaasError('DataLoss', 'a peer sent nothing of what it was asked for');
    if (!(await replica.merge(states))) throw tooEarly();
    at += count;
    await port.pace(states.length);
  }
}

async function give(replica: EventualReplica, port: ExchangePort, keys: readonly Key[]): Promise<void> {
  for (let at = 0; at < keys.length;) {
    const { states, count } = replica.take(keys.slice(at), stateBytes);
    at += count;
    if (states.length === 0) continue;
    const answer = await port.ask(requests.push, states);
    if (answer[0] !== 1) throw tooEarly();
    await port.pace(states.length);
  }
}

function tooEarly(): Error {
  return oaasError('Unavailable', 'what the other replica has is stamped too far in the future', {
    remedy: 'Set the clocks of the members right; until then such entries are not merged.',
  });
}
