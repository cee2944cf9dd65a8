import { data } from '@oaas/proto';

/** The one object of the benchmark; its value has 1 KiB. */
export const address = { clsId: 'bench.Class', partitionId: 0, objectId: 'object-1' };
export const value = { data: Buffer.alloc(1024, 0x61), type: data.ValType.VAL_TYPE_BYTE };

/** Messages in each stream. */
export const streamLength = 10_000;

/** What a native load generator sends: one message with the prefix of gRPC. */
export const bodies = {
  Set: framed(
    data.SetObjectRequest.encode(
      data.SetObjectRequest.fromPartial({ ...address, object: { entries: { value } } }),
    ).finish(),
  ),
  Get: framed(data.SingleObjectRequest.encode(data.SingleObjectRequest.fromPartial(address)).finish()),
  ListValues: framed(
    data.ListValuesRequest.encode(data.ListValuesRequest.fromPartial({ ...address, limit: streamLength })).finish(),
  ),
};

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}
