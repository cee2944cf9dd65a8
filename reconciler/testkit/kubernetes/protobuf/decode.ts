import type { Json } from '../types.ts';
import { Reader } from './reader.ts';
import generated from './messages.generated.json' with { type: 'json' };

/** Field number to `json name|kind` (generate.ts, kindOf). */
type Fields = Readonly<Record<string, string>>;

const messages: Readonly<Record<string, Fields>> = generated.messages;
const kinds: Readonly<Record<string, string>> = generated.kinds;

export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

/** "k8s" and a zero, before the envelope (runtime.Unknown). */
const magic = Buffer.from([0x6b, 0x38, 0x73, 0]);

/**
 * An object that a client sent as protobuf, as the JSON that it would have sent instead. Fields that the messages do not have are
 * skipped, as protobuf wants. Throws an Error with what is wrong.
 */
export function decodeProtobuf(body: Buffer): Json {
  if (!body.subarray(0, magic.length).equals(magic))
    throw new Error('the body does not begin as Kubernetes objects do');
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array();
  for (const { field, value } of new Reader(body.subarray(magic.length))) {
    if (field === 1) {
      for (const each of new Reader(bytes(value))) {
        if (each.field === 1) apiVersion = text(each.value);
        if (each.field === 2) kind = text(each.value);
      }
    }
    if (field === 2) raw = bytes(value);
  }
  const message = kind === 'DeleteOptions' ? kinds[kind] : kinds[`${apiVersion}/${kind}`];
  if (message === undefined) throw new Error(`there is no protobuf form of ${apiVersion}, Kind=${kind} here`);
  return { apiVersion, kind, ...decodeMessage(message, raw) };
}

function decodeMessage(name: string, body: Uint8Array): Json {
  const fields = messages[name] ?? {};
  const found: Json = {};
  for (const { field, value } of new Reader(body)) {
    const [json = '', kind = ''] = fields[String(field)]?.split('|') ?? [];
    if (kind !== '') put(found, json, kind, value);
  }
  return found;
}

type Value = bigint | Uint8Array;

function put(into: Json, name: string, kind: string, value: Value): void {
  switch (kind[0]) {
    case '<':
      Object.assign(into, decodeMessage(kind.slice(2), bytes(value)));
      return;
    case '*':
      into[name] = [...((into[name] as unknown[] | undefined) ?? []), one(kind.slice(1), value)];
      return;
    case '%': {
      const [key, entry] = mapEntry(kind.slice(1), bytes(value));
      into[name] = { ...(into[name] as Json | undefined), [key]: entry };
      return;
    }
    case '?':
      into[name] = one(kind.slice(1), value);
      return;
    default: {
      const decoded = one(kind, value);
      // Go writes what is not a pointer even where it is empty; JSON leaves it out.
      if (decoded !== '' && decoded !== 0 && decoded !== false && decoded !== null) into[name] = decoded;
    }
  }
}

function mapEntry(kind: string, body: Uint8Array): readonly [string, unknown] {
  let key = '';
  let entry: unknown = kind === 's' || kind === 'y' ? '' : {};
  for (const { field, value } of new Reader(body)) {
    if (field === 1) key = text(value);
    if (field === 2) entry = one(kind, value);
  }
  return [key, entry];
}

function one(kind: string, value: Value): unknown {
  switch (kind[0]) {
    case 's':
      return text(value);
    case 'i':
      return whole(value);
    case 'b':
      return whole(value) !== 0;
    case 'd':
      return Buffer.from(bytes(value)).readDoubleLE();
    case 'y':
      return Buffer.from(bytes(value)).toString('base64');
    case '@':
      return decodeMessage(kind.slice(1), bytes(value));
    case '*':
      return [one(kind.slice(1), value)];
    default:
      return special(kind.slice(1), bytes(value));
  }
}

/** Types with a JSON form of their own. */
function special(type: string, body: Uint8Array): unknown {
  const fields = [...new Reader(body)];
  const last = (field: number) => fields.findLast((each) => each.field === field)?.value;
  const number = (field: number) => whole(last(field) ?? 0n);
  switch (type) {
    case 'time':
      return fields.length === 0 ? null : `${new Date(number(1) * 1000).toISOString().slice(0, 19)}Z`;
    case 'microtime': {
      const micros = String(Math.floor(number(2) / 1000)).padStart(6, '0');
      return fields.length === 0 ? null : `${new Date(number(1) * 1000).toISOString().slice(0, 19)}.${micros}Z`;
    }
    case 'intstr':
      return number(1) === 0 ? number(2) : text(last(3) ?? new Uint8Array());
    case 'quantity':
      return text(last(1) ?? new Uint8Array());
    case 'json':
      return fields.length === 0 ? null : (JSON.parse(text(last(1) ?? new Uint8Array())) as unknown);
    case 'items':
      return fields.filter((each) => each.field === 1).map((each) => text(each.value));
    default:
      throw new Error(`there is no JSON form of ${type} here`);
  }
}

function bytes(value: Value): Uint8Array {
  if (typeof value === 'bigint') throw new Error('a number stands where bytes should');
  return value;
}

function text(value: Value): string {
  return Buffer.from(bytes(value)).toString('utf8');
}

/** Negative numbers come as 64 bits of two's complement. */
function whole(value: Value): number {
  if (typeof value !== 'bigint') throw new Error('bytes stand where a number should');
  return Number(BigInt.asIntN(64, value));
}
