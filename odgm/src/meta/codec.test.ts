import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  apply,
  commandVersion,
  decodeCommand,
  decodeState,
  encodeCommand,
  encodeState,
  schedulesChecks,
  type Settings,
} from './index.ts';
import { canonical } from './codec.ts';
import { member, MetaUnderTest } from './testing.ts';

let meta: MetaUnderTest;

beforeEach(() => {
  meta = new MetaUnderTest();
});

describe('a command of a newer version', () => {
  const encode = (version: number, type: string): Uint8Array =>
    new TextEncoder().encode(JSON.stringify({ version, command: { type, at: 1 } }));

  it('is refused by every member alike while not all know it, and changes nothing', () => {
    meta.bootstrap();
    meta.accept({
      type: 'joinMember',
      clusterId: 'blue',
      member: member('new', { commandVersion: commandVersion + 1 }),
    });
    const before = encodeState(meta.state);
    expect(apply(meta.state, decodeCommand(encode(commandVersion + 1, 'splitShard')))).toMatchObject({
      code: 'UnsupportedCommand',
    });
    expect(encodeState(meta.state)).toEqual(before);
  });

  it('is one that sets how often the grid checks itself, which a former build would take whatever it says', () => {
    const versionOf = (settings: Partial<Settings>) =>
      decodeCommand(encodeCommand({ type: 'setSettings', settings, at: 1 })).version;
    expect([versionOf({ nodeDownMs: 5000 }), versionOf({ checkEveryMs: 0 })]).toEqual([1, schedulesChecks]);
  });

  it('stops a build that cannot follow once all others know it', () => {
    meta.bootstrap(1);
    meta.accept({
      type: 'joinMember',
      clusterId: 'blue',
      member: member('grid-0', { commandVersion: commandVersion + 1 }),
    });
    expect(() => apply(meta.state, decodeCommand(encode(commandVersion + 1, 'splitShard')))).toThrow(/newer version/);
  });

  it('differs from bytes that are no command', () => {
    expect(() => decodeCommand(new Uint8Array([1, 2, 3]))).toThrow(/unreadable/);
    expect(() => decodeState(new TextEncoder().encode('{}'))).toThrow(/unreadable/);
    expect(() => decodeState(new TextEncoder().encode('{"version":2,"members":[]}'))).toThrow(/newer version/);
  });
});

describe('the JSON of the state', () => {
  it('says what JSON says, whatever the order in which keys came', () => {
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        tie('list'),
        tie('map'),
      ),
      list: fc.array(fc.oneof(tie('value'), fc.constant(undefined)), { maxLength: 4 }),
      map: fc.dictionary(fc.string(), fc.oneof(tie('value'), fc.constant(undefined)), {
        maxKeys: 5,
        noNullPrototype: true,
      }),
    }));
    const property = fc.property(json.map, (value) => {
      const turned = Object.fromEntries(Object.entries(value).reverse());
      const text = canonical(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonical(turned)).toBe(text);
    });
    fc.assert(property);
  });
});
