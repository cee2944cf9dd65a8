import { describe, expect, it } from 'vitest';
import { readOptions } from './options.ts';

describe('the command line of the simulation', () => {
  it('plays one seed in all worlds when nothing is said', () => {
    expect(readOptions([])).toMatchObject({ seed: 1, seeds: undefined, worlds: ['groups', 'nodes', 'storms'] });
    expect(readOptions(['--world', 'nodes', '--minutes', '0.5'])).toMatchObject({ worlds: ['nodes'], minutes: 0.5 });
  });

  it.each([
    [['--foo'], /--foo/],
    [['somewhere'], /somewhere/],
    [['--seed'], /--seed/],
    [['--seed', 'x'], /--seed is a whole number/],
    [['--seeds', '0'], /--seeds is a whole number, at least 1/],
    [['--nodes', '2'], /--nodes is a whole number, at least 3/],
    [['--minutes', '-1'], /--minutes/],
    [['--world', 'moon'], /--world is one of groups, nodes, storms/],
  ] as const)('says what is wrong with %j', (args, what) => {
    expect(readOptions(args)).toMatch(what);
  });
});
