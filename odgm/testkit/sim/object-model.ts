import type { SequentialModel } from './linearizability.ts';

/** An operation on one object, as a client asks for it. Values are names of contents, such as a hash or a counter. */
export type ObjectInput =
  | { readonly type: 'get' }
  | { readonly type: 'put'; readonly value: string }
  | { readonly type: 'delete' }
  /** Puts the value if the object has this version; 0: if it is not there. */
  | { readonly type: 'cas'; readonly expected: number; readonly value: string };

/** What came back. A field that the client was not told is undefined and is not checked. */
export type ObjectOutput =
  | { readonly type: 'got'; readonly value: string | undefined; readonly version?: number | undefined }
  | { readonly type: 'done'; readonly version?: number | undefined }
  | { readonly type: 'conflict'; readonly current?: number | undefined };

/** An object that is not there has version 0 and no value. */
export interface ObjectState {
  readonly value: string | undefined;
  readonly version: number;
}

const absent: ObjectState = { value: undefined, version: 0 };

/**
 * One object of a shard: the first write gives version 1, each change adds 1, a write of what is there already changes
 * nothing, and an object that is deleted and made anew begins at 1 again.
 */
export const objectModel: SequentialModel<ObjectState, ObjectInput, ObjectOutput> = {
  initial: absent,
  step(state, input, output) {
    switch (input.type) {
      case 'get':
        return output === undefined || (output.type === 'got' && shows(output, state)) ? state : undefined;
      case 'put':
        return done(put(state, input.value), output);
      case 'delete':
        return output === undefined || output.type === 'done' ? absent : undefined;
      case 'cas':
        if (input.expected === state.version) return done(put(state, input.value), output);
        if (output === undefined) return state;
        return output.type === 'conflict' && fits(output.current, state.version) ? state : undefined;
    }
  },
  keyOf: ({ value, version }) => (value === undefined ? '-' : `${version} ${value}`),
  isReadOnly: ({ type }) => type === 'get',
  likenessOf(history) {
    const seen = new Set<string>();
    for (const { output } of history) {
      if (output?.type === 'got' && output.value !== undefined) seen.add(output.value);
    }
    // What was written and never read is a step of the version and no more, provided that it was written once.
    const writes = new Map<string, number>();
    for (const { input } of history) {
      if ('value' in input) writes.set(input.value, (writes.get(input.value) ?? 0) + 1);
    }
    const isUnseen = (value: string): boolean => !seen.has(value) && writes.get(value) === 1;
    return (input) => {
      switch (input.type) {
        case 'get':
          return undefined;
        case 'delete':
          return 'delete';
        case 'put':
          return isUnseen(input.value) ? 'put' : undefined;
        case 'cas':
          return isUnseen(input.value) ? `cas ${input.expected}` : undefined;
      }
    };
  },
};

function put(state: ObjectState, value: string): ObjectState {
  return state.value === value ? state : { value, version: state.version + 1 };
}

function done(next: ObjectState, output: ObjectOutput | undefined): ObjectState | undefined {
  if (output === undefined) return next;
  return output.type === 'done' && fits(output.version, next.version) ? next : undefined;
}

function shows(output: Extract<ObjectOutput, { type: 'got' }>, state: ObjectState): boolean {
  return output.value === state.value && fits(output.version, state.version);
}

function fits(told: number | undefined, actual: number): boolean {
  return told === undefined || told === actual;
}
