import { describe, expect, it } from 'vitest';
import { addressesIn, rewriteAddresses, targetKey } from './addresses.ts';

const hostPorts = new Map([
  [targetKey({ kind: 'service', namespace: 'default', name: 'grid', port: 8080 }), 9001],
  [targetKey({ kind: 'pod', namespace: 'default', name: 'grid-0', port: 8080 }), 9002],
  [targetKey({ kind: 'pod', namespace: 'default', name: 'grid-0', port: 8081 }), 9003],
]);

describe('a cluster address', () => {
  it.each([
    ['grid.default.svc:8080', '127.0.0.1:9001'],
    ['http://grid.default.svc.cluster.local:8080/x', 'http://127.0.0.1:9001/x'],
    ['grid-0.peers.default.svc:8080', '127.0.0.1:9002'],
    [
      '0=grid-0.peers.default.svc:8080;admin=grid-0.peers.default.svc:8081,b',
      '0=127.0.0.1:9002;admin=127.0.0.1:9003,b',
    ],
    ['url: "http://grid.default.svc:8080"\nother: 1\n', 'url: "http://127.0.0.1:9001"\nother: 1\n'],
  ])('%j is rewritten to %j', (text, expected) => {
    expect(rewriteAddresses(text, hostPorts)).toBe(expected);
  });

  it.each([
    ['without a port', 'grid.default.svc'],
    ['with a port that nobody knows', 'grid.default.svc:9999'],
    ['with more labels than a pod has', 'a.b.grid.default.svc:8080'],
    ['of a longer number than a port', 'grid.default.svc:808080'],
    ['whose end only looks like one', 'grid.default.svcx:8080'],
  ])('%s stays as it is', (_, text) => {
    expect(rewriteAddresses(text, hostPorts)).toBe(text);
  });

  it('is found once however often it stands in a text', () => {
    expect(addressesIn('a.b.svc:1 a.b.svc:1 p.a.b.svc:1')).toEqual([
      { kind: 'service', namespace: 'b', name: 'a', port: 1 },
      { kind: 'pod', namespace: 'b', name: 'p', port: 1 },
    ]);
  });
});
