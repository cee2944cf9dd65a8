import { parseObject } from './wire-error.ts';
import type { MeshIdentity, MeshPeer, Refusal, RefusalReason } from './port.ts';

/** First bytes of a peer link, by which the listener tells it from HTTP/2. */
export const meshPreface = new Uint8Array(Buffer.from('OAASMESH1\n'));

/** Version of the protocol. Ends of different versions refuse each other. */
export const meshVersion = 1;

/** A hello has at most this many bytes. */
export const helloBytesMax = 4096;

/** The first frame of either end. The one who dials sends it with the preface, the other one answers. */
export interface Hello {
  readonly version: number;
  readonly cluster: string;
  readonly number: number;
  readonly id: string;
  readonly incarnation: number;
  /** What the link is for. */
  readonly purpose: 'peer';
  /** Whom the sender expects at the other end. */
  readonly to: { readonly number: number; readonly id: string };
  /** In an answer: there will be no link. `duplicate`: there is one already, which stays. */
  readonly refused?: { readonly reason: RefusalReason | 'duplicate'; readonly message: string } | undefined;
}

export function encodeHello(hello: Hello): Uint8Array {
  return Buffer.from(JSON.stringify(hello));
}

const refusalReasons: readonly string[] = [
  'version',
  'cluster',
  'address',
  'number',
  'unknown',
  'stale',
  'duplicate',
] satisfies readonly (RefusalReason | 'duplicate')[];

/** The hello in `payload`, or undefined when it is none. Of another version only the common fields are looked at. */
export function decodeHello(payload: Uint8Array): Hello | undefined {
  const fields = parseObject(payload);
  if (fields === undefined) return undefined;
  const { version, cluster, number, id, incarnation, purpose, to, refused } = fields;
  if (!isWhole(version) || typeof cluster !== 'string' || !isWhole(number)) return undefined;
  if (typeof id !== 'string' || !isWhole(incarnation) || purpose !== 'peer') return undefined;
  const target = to as Partial<Hello['to']> | null | undefined;
  if (!isWhole(target?.number) || typeof target.id !== 'string') return undefined;
  const hello = { version, cluster, number, id, incarnation, purpose, to: { number: target.number, id: target.id } };
  if (refused === undefined) return hello as Hello;
  const { reason, message } = refused as Partial<NonNullable<Hello['refused']>>;
  if (typeof reason !== 'string' || !refusalReasons.includes(reason) || typeof message !== 'string') return undefined;
  return { ...hello, refused: { reason, message } } as Hello;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export interface Expectation {
  readonly clusterId: string;
  readonly self: MeshIdentity;
  readonly peerOf: (number: number) => MeshPeer | undefined;
  /** Highest incarnation seen of a member of late. */
  readonly incarnationOf: (number: number) => number | undefined;
}

/** Why this end does not want a link with who sent `hello`; undefined when it does. */
export function judgeHello(hello: Hello, expected: Expectation): Pick<Refusal, 'reason' | 'message'> | undefined {
  const { clusterId, self } = expected;
  const name = `member ${hello.number} (${hello.id})`;
  if (hello.version !== meshVersion) {
    return { reason: 'version', message: `${name} speaks version ${hello.version}, not ${meshVersion}` };
  }
  if (hello.cluster !== clusterId) {
    return { reason: 'cluster', message: `${name} is of cluster ${hello.cluster}, not ${clusterId}` };
  }
  if (hello.to.number !== self.number || hello.to.id !== self.id) {
    const wanted = `member ${hello.to.number} (${hello.to.id})`;
    return { reason: 'address', message: `${name} looks for ${wanted}, but this is ${self.number} (${self.id})` };
  }
  const known = expected.peerOf(hello.number);
  if (known === undefined) return { reason: 'unknown', message: `${name} is no member that ${self.id} knows` };
  if (known.id !== hello.id) {
    return { reason: 'number', message: `number ${hello.number} belongs to ${known.id}, not to ${hello.id}` };
  }
  const seen = expected.incarnationOf(hello.number);
  if (seen !== undefined && hello.incarnation < seen) {
    return { reason: 'stale', message: `a later process of ${name} has been seen` };
  }
  return undefined;
}
