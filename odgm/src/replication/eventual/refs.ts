import { oaasError } from '@oaas/commons/errors';
import { decodePageResponse, encodePageRequest, ExchangeInitiator } from '../../merkle/index.ts';
import { type ExchangePort, stateBytes } from './exchange.ts';
import { decodeVersions, encodeLeaves, requests } from './messages.ts';
import type { Announcement, LeafName, ReplicaRefs, RefTakeover } from './types.ts';

/** Leaves whose states are asked for at once. */
const maxLeaves = 1024;

/** Both keep labels and branches, and do not have the same. */
export function differInRefs({ refs: mine }: Announcement, { refs: theirs }: Announcement): boolean {
  return mine !== undefined && theirs !== undefined && mine !== theirs;
}

/**
 * Has each of two replicas take over the labels and branches of the other one, where they differ. Resolves with what
 * completes the comparison: with the digest of the other one once each has all that was announced, whatever has been
 * changed since. So one on which somebody changes something all the time has others that have the same.
 */
export async function settleRefs(
  mine: Announcement,
  theirs: Announcement,
  take: () => Promise<void>,
  port: ExchangePort,
): Promise<Announcement> {
  if (!differInRefs(mine, theirs)) return mine;
  await take();
  const [isTaken] = await port.ask(requests.changed, new Uint8Array(0));
  return isTaken === 1 ? { ...mine, refs: theirs.refs } : mine;
}

/**
 * Takes over labels and branches of another replica: first all that they name and that is not here (pages of trees, then
 * states of headers and entries, each checked against its address), then they themselves. Rejects when it did not come to
 * the end: nothing of them is shown then.
 */
export async function takeRefs(replica: ReplicaRefs, port: ExchangePort): Promise<void> {
  const takeover = await replica.take(await port.ask(requests.refs, new Uint8Array(0)));
  try {
    for (const { root, like } of takeover.roots) await takeRoot(takeover, root, like, port);
    await takeover.finish();
  } finally {
    takeover.end();
  }
}

async function takeRoot(takeover: RefTakeover, theirs: string, ours: string, port: ExchangePort): Promise<void> {
  const onPage: RefTakeover['put'] = (hash, page) => {
    takeover.put(hash, page);
  };
  const initiator = new ExchangeInitiator(takeover.pages, { ours, theirs, onPage });
  for (;;) {
    const step = initiator.step();
    if (step.type === 'fetch') {
      const answer = await port.ask(requests.pages, encodePageRequest(step.request));
      initiator.receive(decodePageResponse(answer));
      await takeover.save([]);
      await port.pace(answer.length);
    } else if (step.type === 'found') {
      const leaves = step.differences.flatMap(({ key, theirs: leaf }) => (leaf === undefined ? [] : [{ key, leaf }]));
      await takeStates(takeover, await takeover.save(leaves), port);
    } else if (step.reason === 'complete') {
      return;
    } else {
      throw oaasError('Unavailable', `a version could not be taken over: ${step.reason}`);
    }
  }
}

async function takeStates(takeover: RefTakeover, missing: readonly LeafName[], port: ExchangePort): Promise<void> {
  for (let at = 0; at < missing.length;) {
    const asked = missing.slice(at, at + maxLeaves);
    const answer = await port.ask(requests.versions, encodeLeaves(stateBytes, asked));
    const states = decodeVersions(answer);
    const found = states.filter((state) => state !== undefined);
    if (found.length === 0 || found.length < states.length || states.length > asked.length) {
      throw oaasError('Unavailable', 'a peer does not have all that a version of it had');
    }
    await takeover.keep(asked.slice(0, states.length), found);
    at += states.length;
    await port.pace(answer.length);
  }
}
