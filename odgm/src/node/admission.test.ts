import { expect, it } from 'vitest';
import { type ClusterRecord, type Command, createMetaState, type MemberRecord, type MetaGroup } from '../meta/index.ts';
import { admit } from './admission.ts';

const cluster = { id: 'u', commandVersion: 3 } as ClusterRecord;
const says = { address: 'n2:1', admin: 'http://n2', zone: 'a', incarnation: 'i2', commandVersion: 3 };
const request = { ...says, clusterId: 'c', clusterUid: 'u', nodeId: 'n2', capacityBytes: 0, replaces: 0 };

/** A member that has applied what is given, and what `later` adds once it has caught up. */
function memberThatKnows(record: Partial<MemberRecord> | undefined, later: Partial<MemberRecord> | undefined = record) {
  const state = createMetaState();
  const note = (known: Partial<MemberRecord> | undefined): void => {
    state.members.clear();
    if (known !== undefined) state.members.set(2, { id: 'n2', number: 2, ...says, ...known } as MemberRecord);
  };
  note(record);
  const proposed: Command['type'][] = [];
  const meta: Partial<MetaGroup> = {
    state,
    catchUp: () => {
      note(later);
      return Promise.resolve();
    },
    propose: (command) => {
      proposed.push(command.type);
      return Promise.resolve({ ok: true, changed: true, id: 2 });
    },
  };
  return { meta: meta as MetaGroup, proposed };
}

it('a member that is down and asks from where it said it is changes nothing: its link says that it is there again', async () => {
  const { meta, proposed } = memberThatKnows({ state: 'down' });
  for (let times = 0; times < 3; times += 1) {
    expect(await admit(meta, cluster, request)).toMatchObject({ clusterUid: 'u', member: 2, members: [{ id: 'n2' }] });
  }
  expect(proposed).toEqual([]);
});

it('where a member is now is noted: when it is another place, also one that was noted later than this node has applied', async () => {
  for (const [known, later] of [
    [{ state: 'down', address: 'old:1' }],
    [{ state: 'down' }, { state: 'down', address: 'other:1' }],
  ] as const) {
    const { meta, proposed } = memberThatKnows(known, later);
    expect(await admit(meta, cluster, request)).toMatchObject({ member: 2 });
    expect(proposed).toEqual(['joinMember']);
  }
});

it('a member that is down and of an older version than the cluster has now is left to be refused', async () => {
  const { meta, proposed } = memberThatKnows({ state: 'down', commandVersion: 2 });
  await admit(meta, cluster, { ...request, commandVersion: 2 });
  expect(proposed).toEqual(['joinMember']);
});

it('a member that nobody knows any more was removed; one that this node has not heard of yet was not', async () => {
  await expect(admit(memberThatKnows(undefined).meta, cluster, request)).rejects.toThrow('n2 was removed');
  const { meta, proposed } = memberThatKnows(undefined, { state: 'up' });
  expect(await admit(meta, cluster, request)).toMatchObject({ member: 2 });
  expect(proposed).toEqual(['joinMember']);
});
