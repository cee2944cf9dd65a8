import { oaasError } from '@oaas/commons/errors';
import { type Random, randomHex } from '@oaas/commons/time';
import type { Storage } from '../storage/index.ts';

/** What a node is to its cluster, kept with its data: whoever has the data is the member. */
export interface NodeIdentity {
  /** Made with the storage: another disk is another member, whatever it is called. */
  readonly incarnation: string;
  /** Text id that the storage was made for. */
  readonly nodeId: string;
  /** Given at the birth of the cluster; empty before the node has joined one. */
  readonly clusterUid: string;
  /** Member number; 0 before the node has joined. */
  readonly member: number;
}

/** Six bytes 0xff, which are no group, and a letter that no other user of that space has. */
const key = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x49]);

/**
 * The identity in this storage, or a new one that is stored. Throws `ConfigInvalid` when the storage belongs to a node
 * with another id, `StorageCorrupt`.
 */
export async function openIdentity(storage: Storage, nodeId: string, random: Random): Promise<NodeIdentity> {
  const stored = storage.get(key);
  if (stored === undefined) {
    const identity = { incarnation: randomHex(random), nodeId, clusterUid: '', member: 0 };
    await saveIdentity(storage, identity);
    return identity;
  }
  const identity = decode(stored);
  if (identity.nodeId !== nodeId) {
    throw oaasError('ConfigInvalid', `the data directory belongs to node ${identity.nodeId}, this is ${nodeId}`, {
      remedy: 'Start the node with its own data directory, or correct ODGM_NODE_ID.',
    });
  }
  return identity;
}

export async function saveIdentity(storage: Storage, identity: NodeIdentity): Promise<void> {
  await storage.write([{ type: 'put', key, value: Buffer.from(JSON.stringify(identity)) }]);
}

function decode(bytes: Uint8Array): NodeIdentity {
  try {
    const { incarnation, nodeId, clusterUid, member } = JSON.parse(Buffer.from(bytes).toString()) as NodeIdentity;
    if (typeof incarnation === 'string' && typeof nodeId === 'string' && Number.isSafeInteger(member)) {
      return { incarnation, nodeId, clusterUid, member };
    }
  } catch {
    // Named below.
  }
  throw oaasError('StorageCorrupt', 'the identity of the node is unreadable', {
    remedy: 'Start the node with an empty data directory: it joins as a new member and gets its data from the others.',
  });
}
