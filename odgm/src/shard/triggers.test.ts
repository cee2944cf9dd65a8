import { data } from '@oaas/proto';
import { describe, expect, it } from 'vitest';
import type { Value } from './model.ts';
import { firedByData, firedByFunction } from './triggers.ts';

const value: Value = { data: Buffer.from('x'), type: 'bytes' };
const target = (fnId: string): data.TriggerTarget => data.TriggerTarget.fromPartial({ clsId: 'p.Class', fnId });
const all = (name: string) => ({
  onCreate: [target(`${name}-created`)],
  onUpdate: [target(`${name}-updated`), target(`${name}-updated-too`)],
  onDelete: [target(`${name}-deleted`)],
});
const event = data.ObjectEvent.encode(
  data.ObjectEvent.fromPartial({
    dataTrigger: { a: all('a'), Title: all('title'), 7: all('seven') },
    legacyDataTrigger: { 42: all('forty-two') },
    funcTrigger: { increment: { onComplete: [target('done')], onError: [target('failed')] } },
  }),
).finish();

const created = (key: string) => ({ key, value, old: undefined });
const updated = (key: string) => ({ key, value, old: value });
const deleted = (key: string) => ({ key, value: undefined, old: value });

describe('changes of entries set off', () => {
  it.each([
    ['what is to be told when an entry comes to be', [created('a')], ['a-created']],
    ['all targets, in their order, when it changes', [updated('a')], ['a-updated', 'a-updated-too']],
    ['what is to be told when it goes', [deleted('a')], ['a-deleted']],
    ['nothing for entries without triggers', [created('b'), updated('c'), deleted('d')], []],
    ['triggers that were configured by number', [created('42'), deleted('7')], ['forty-two-created', 'seven-deleted']],
    ['triggers of a name that was written in upper case', [created('title')], ['title-created']],
    [
      'each entry its own, in the order of keys whatever that of the changes is',
      [deleted('title'), updated('7'), created('a')],
      ['seven-updated', 'seven-updated-too', 'a-created', 'title-deleted'],
    ],
  ] as const)('%s', (_what, changes, expected) => {
    expect(firedByData(event, changes).map((fired) => fired.target.fnId)).toEqual(expected);
  });

  it('nothing where what is stored is no ObjectEvent, or has no triggers', () => {
    expect(firedByData(Buffer.from([0xff, 0xff, 0xff]), [created('a')])).toEqual([]);
    expect(firedByData(new Uint8Array(0), [created('a')])).toEqual([]);
  });
});

it('the end of a call sets off what its function has triggers for, by whether it succeeded', () => {
  const names = (name: string, succeeded: boolean) => firedByFunction(event, name, succeeded).map(({ fnId }) => fnId);
  expect(names('increment', true)).toEqual(['done']);
  expect(names('increment', false)).toEqual(['failed']);
  expect(names('other', true)).toEqual([]);
  expect(names('constructor', true)).toEqual([]);
});
