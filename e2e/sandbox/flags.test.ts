import { describe, expect, it } from 'vitest';
import { parseFlags } from './flags.ts';

describe('the command line', () => {
  it('without flags means .sandbox at port 7400', () => {
    expect(parseFlags([])).toEqual({
      dir: '.sandbox',
      portBase: 7400,
      fresh: false,
      buildOnly: false,
      help: false,
      realClusters: new Map(),
    });
  });

  it('takes several real clusters, whose contexts may hold any character', () => {
    const { realClusters } = parseFlags(['--cluster', 'cloud=admin@my=cluster', '--cluster', 'far-away=x']);
    expect([...realClusters]).toEqual([
      ['cloud', 'admin@my=cluster'],
      ['far-away', 'x'],
    ]);
  });

  it.each([
    ['an unknown flag', ['--frsh'], /--frsh/],
    ['a word without a flag', ['now'], /now/],
    ['a port that is none', ['--port-base', '7,400'], /--port-base 7,400 is not a port/],
    ['a port without room for the others', ['--port-base', '65000'], /--port-base 65000/],
    ['a cluster without a context', ['--cluster', 'cloud'], /--cluster cloud is not of the form NAME=CONTEXT/],
    ['a cluster name that is no label', ['--cluster', 'My Cloud=x'], /NAME=CONTEXT/],
    ['a cluster that is named twice', ['--cluster', 'a=x', '--cluster', 'a=y'], /names a twice/],
  ])('with %s is refused, and the message names it', (_, argv, message) => {
    expect(() => parseFlags(argv)).toThrow(message);
  });
});
