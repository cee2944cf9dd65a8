import { describe, expect, it } from 'vitest';
import { nodesOfName, type Resolver } from './dns.ts';

const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

function resolver(rest: Partial<Resolver>): Resolver {
  return { resolve4: failing('ENODATA'), resolve6: failing('ENODATA'), ...rest };
}

describe('the addresses of a name', () => {
  it('are nodes whose ids are not known yet, in one order however the DNS turns them', async () => {
    const name = resolver({
      resolve4: () => Promise.resolve(['10.0.0.2', '10.0.0.1']),
      resolve6: () => Promise.resolve(['fd00::1']),
    });
    expect(await nodesOfName('grid', 8080, name)).toEqual([
      { id: '', address: '10.0.0.1:8080' },
      { id: '', address: '10.0.0.2:8080' },
      { id: '', address: '[fd00::1]:8080' },
    ]);
  });

  it('are none while no pod has one, which is no failure', async () => {
    expect(await nodesOfName('grid', 8080, resolver({ resolve4: failing('ENOTFOUND') }))).toEqual([]);
  });

  it('are not known when the DNS does not answer', async () => {
    const silent = nodesOfName('grid', 8080, resolver({ resolve4: failing('ETIMEOUT') }));
    await expect(silent).rejects.toMatchObject({ code: 'Unavailable' });
  });
});
