import { oaasError } from '@oaas/commons/errors';
import { stableHash } from '../placement/index.ts';

/** Cursor: format (u8), hash of what is being listed (u32), last id or key that was given. */
const format = 1;
const headLength = 5;

/** Where a list goes on after `last`. `scope` says what is listed: a cursor fits only the list that gave it. */
export function encodeCursor(scope: string, last: string): Uint8Array {
  const cursor = Buffer.alloc(headLength + last.length);
  cursor[0] = format;
  cursor.writeUInt32BE(stableHash('cursor', scope), 1);
  cursor.write(last, headLength, 'latin1');
  return cursor;
}

/** Throws `InvalidArgument` for bytes that no list of this scope gave. */
export function decodeCursor(scope: string, cursor: Uint8Array): string {
  const bytes = Buffer.from(cursor.buffer, cursor.byteOffset, cursor.byteLength);
  if (bytes.length <= headLength || bytes[0] !== format || bytes.readUInt32BE(1) !== stableHash('cursor', scope)) {
    throw oaasError('InvalidArgument', 'the cursor belongs to another list', {
      remedy: 'Pass the next_cursor of the same list with the same prefix, or none to begin anew.',
    });
  }
  return bytes.toString('latin1', headLength);
}
