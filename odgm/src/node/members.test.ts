import { describe, expect, it } from 'vitest';
import { parseMembers, withSelf } from './members.ts';

describe('the member list', () => {
  it('takes ids, addresses, admin addresses and zones', () => {
    expect(parseMembers(['a=h:1;admin=h:2;zone=z', 'b=http://i:3/'])).toEqual([
      { id: 'a', address: 'h:1', admin: 'h:2', zone: 'z' },
      { id: 'b', address: 'i:3' },
    ]);
  });

  it.each([
    ['odgm-0.odgm.ns.svc:8080', 'odgm-0'],
    ['odgm-0:8080', 'odgm-0'],
    ['10.0.0.1:8080', '10.0.0.1:8080'],
    ['localhost:8081', 'localhost:8081'],
    ['[::1]:8080', '[::1]:8080'],
  ])('names %s after its host: %s', (text, id) => {
    expect(parseMembers([text])[0]?.id).toBe(id);
  });

  it.each(['a', 'a=', '=h:1', 'a=h', 'a=h:1;zome=z', 'a=h:x', 'a=h:1;zone='])('refuses "%s"', (text) => {
    expect(() => parseMembers([text])).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }) as Error);
  });

  it('refuses a member that is listed twice', () => {
    expect(() => parseMembers(['a=h:1', 'a=h:2'])).toThrow(/twice/);
  });
});

describe('this node', () => {
  const self = { id: 'n1', address: 'here:1' };

  it('is alone when nobody is listed', () => {
    expect(withSelf([], self)).toEqual({ members: [self], self });
  });

  it('is found by id first, then by address', () => {
    const members = parseMembers(['n1=elsewhere:1', 'x=here:1']);
    expect(withSelf(members, self).self.address).toBe('elsewhere:1');
    expect(withSelf(members.slice(1), self).self.id).toBe('x');
  });

  it('that is not listed is a mistake', () => {
    expect(() => withSelf(parseMembers(['a=b:1']), self)).toThrow(/not among the members/);
  });
});
