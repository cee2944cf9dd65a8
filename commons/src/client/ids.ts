import { oaasError } from '../errors/index.ts';

/** Longest id of an object or an entry key, in bytes. */
export const idLengthMax = 160;

const idPattern = /^[a-z0-9._:-]{1,160}$/;

/** Whether `text` is an id in its normal form: 1..160 of `a-z 0-9 . _ : -`. */
export function isValidId(text: string): boolean {
  return idPattern.test(text);
}

/**
 * The normal form of an object id or entry key: ASCII upper case is folded. Ids of digits only are texts like any other.
 * Throws `InvalidArgument` for anything that has no normal form; `what` names it in the message.
 */
export function normalizeId(text: string, what = 'id'): string {
  const folded = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (idPattern.test(folded)) return folded;
  throw oaasError('InvalidArgument', `the ${what} ${JSON.stringify(text.slice(0, idLengthMax))} is not valid`, {
    remedy: `Use 1 to ${String(idLengthMax)} of the characters a-z, 0-9, ".", "_", ":" and "-".`,
    details: { field: what },
  });
}

/**
 * The partition of an object: FNV-1a (32 bit) of the bytes of its normalised id, modulo the number of partitions. Every
 * caller in every language computes it so; `ids.test.ts` has vectors. Throws `InvalidArgument` for an id that is not
 * valid or a count that is no whole number from 1 to 2^31.
 *
 * Source: G. Fowler, L. C. Noll, P. Vo, D. Eastlake, "The FNV Non-Cryptographic Hash Algorithm" (IETF draft).
 */
export function partitionOf(objectId: string, partitionCount: number): number {
  if (!Number.isInteger(partitionCount) || partitionCount < 1 || partitionCount > 2 ** 31) {
    throw oaasError('InvalidArgument', `${String(partitionCount)} is no number of partitions`);
  }
  const id = normalizeId(objectId, 'object id');
  let hash = 0x811c9dc5;
  // A normalised id is ASCII: its character codes are its bytes.
  for (let i = 0; i < id.length; i += 1) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % partitionCount;
}
