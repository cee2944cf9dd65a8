import { oaasError } from '@oaas/commons/errors';
import { createLogger } from '@oaas/commons/telemetry';
import { simulatedTime } from '@oaas/commons/testkit';
import { describe, expect, it } from 'vitest';
import { findCluster, listedSeeds, type JoinOutcome, type JoinPort, type Seeds } from './join.ts';
import { parseMembers } from './members.ts';

interface FakeNode {
  readonly id: string;
  clusterUid: string;
  isUp: boolean;
}

const members = parseMembers(['n1=h:1', 'n2=h:2', 'n3=h:3']);

/** Runs `findCluster` for one node among others, and gives what it has come to after some time. */
async function outcomeFor(
  id: string,
  others: FakeNode[],
  change?: () => void,
  seeds: Seeds = listedSeeds(members),
): Promise<JoinOutcome | 'waiting'> {
  const time = simulatedTime();
  const byAddress = (address: string): FakeNode => {
    const member = members.find((one) => one.address === address);
    const node = others.find((one) => one.id === member?.id);
    if (node?.isUp !== true) throw oaasError('Unavailable', 'nobody listens there');
    return node;
  };
  /* eslint-disable @typescript-eslint/require-await -- a port is asynchronous */
  const port: JoinPort = {
    identify: async (address) => {
      const node = byAddress(address);
      return { clusterId: 'c', nodeId: node.id, clusterUid: node.clusterUid, member: 0, caller: 4 };
    },
    join: async (address, { replaces }) => {
      expect(replaces).toBe(4);
      const node = byAddress(address);
      if (node.clusterUid === '') throw oaasError('Unavailable', 'no member itself');
      return { clusterUid: node.clusterUid, member: 7, members: [] };
    },
  };
  const self = members.find((member) => member.id === id);
  if (self === undefined) throw new Error('no such member');
  const stop = new AbortController();
  let outcome: JoinOutcome | 'waiting' = 'waiting';
  const finding = findCluster(
    {
      clusterId: 'c',
      self,
      seeds,
      identity: { incarnation: 'i', nodeId: id, clusterUid: '', member: 0 },
      port,
      clock: time.clock,
      timers: time.timers,
      logger: createLogger({ service: 'test', level: 'silent' }),
    },
    stop.signal,
  ).then(
    (found) => {
      outcome = found;
    },
    () => undefined,
  );
  await time.advance(2000);
  change?.();
  await time.advance(2000);
  stop.abort();
  await finding;
  return outcome;
}

const fresh = (id: string, isUp = true): FakeNode => ({ id, clusterUid: '', isUp });
const member = (id: string): FakeNode => ({ id, clusterUid: 'u', isUp: true });

describe('a node without a cluster', () => {
  it('forms one when it is the first of the list and a majority is new like it', async () => {
    expect(await outcomeFor('n1', [fresh('n2'), fresh('n3', false)])).toEqual({ kind: 'bootstrap' });
  });

  it('waits for the first of the list when it is not that itself', async () => {
    expect(await outcomeFor('n2', [fresh('n1'), fresh('n3')])).toBe('waiting');
  });

  it('joins what others are members of, so that a first node with an empty disk forms no second cluster', async () => {
    expect(await outcomeFor('n1', [member('n2'), fresh('n3')])).toEqual({
      kind: 'joined',
      clusterUid: 'u',
      member: 7,
      members: [],
    });
  });

  it('waits while the others cannot be asked, and joins as soon as one of them answers', async () => {
    expect(await outcomeFor('n1', [fresh('n2', false), fresh('n3', false)])).toBe('waiting');
    const second = { ...member('n2'), isUp: false };
    const outcome = await outcomeFor('n1', [second, fresh('n3', false)], () => {
      second.isUp = true;
    });
    expect(outcome).toEqual({ kind: 'joined', clusterUid: 'u', member: 7, members: [] });
  });
});

describe('a node that finds the others by their addresses alone', () => {
  const found = (...addresses: string[]): Seeds => ({
    find: () => Promise.resolve(addresses.map((address) => ({ id: '', address }))),
    quorum: 3,
    expected: 3,
  });
  const others = [fresh('n2'), fresh('n3')];

  it('forms a cluster when all that are expected are new, and it is the first by the ids that they say', async () => {
    const all = found('h:1', 'h:2', 'h:3');
    expect(await outcomeFor('n1', others, undefined, all)).toEqual({ kind: 'bootstrap' });
    expect(await outcomeFor('n2', [fresh('n1'), fresh('n3')], undefined, all)).toBe('waiting');
  });

  it('waits while fewer than expected are found: the rest might be a cluster', async () => {
    expect(await outcomeFor('n1', others, undefined, found('h:1', 'h:2'))).toBe('waiting');
  });

  it('joins a cluster as soon as one member of it is found', async () => {
    const outcome = await outcomeFor('n1', [member('n2')], undefined, found('h:2'));
    expect(outcome).toMatchObject({ kind: 'joined', clusterUid: 'u' });
  });

  it('goes on asking when the source does not answer for a while', async () => {
    let isUp = false;
    const source = found('h:2');
    const seeds = {
      ...source,
      find: () => (isUp ? source.find() : Promise.reject(oaasError('Unavailable', 'the DNS does not answer'))),
    };
    const outcome = await outcomeFor(
      'n1',
      [member('n2')],
      () => {
        isUp = true;
      },
      seeds,
    );
    expect(outcome).toMatchObject({ kind: 'joined' });
  });
});
