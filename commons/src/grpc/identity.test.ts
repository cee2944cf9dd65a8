import { describe, expect, it } from 'vitest';
import { identityOf } from './identity.ts';

describe('the identity in a certificate', () => {
  const certificate = { fingerprint256: 'AB:CD', subject: { CN: 'node-1', C: '', ST: '', L: '', O: '', OU: '' } };

  it('has its common name and its alternative names by kind', () => {
    const subjectaltname = 'DNS:a.example, IP Address:10.0.0.1, URI:spiffe://grid/node-1, DNS:b.example';
    expect(identityOf({ ...certificate, subjectaltname })).toEqual({
      commonName: 'node-1',
      dnsNames: ['a.example', 'b.example'],
      uris: ['spiffe://grid/node-1'],
      fingerprint: 'AB:CD',
    });
  });

  it('is not made longer by a name that looks like several', () => {
    const subjectaltname = 'URI:"spiffe://grid/a, DNS:admin.example", DNS:"b, URI:spiffe://root"';
    expect(identityOf({ ...certificate, subjectaltname })).toMatchObject({
      dnsNames: ['b, URI:spiffe://root'],
      uris: ['spiffe://grid/a, DNS:admin.example'],
    });
  });

  it('is absent without a certificate', () => {
    expect(identityOf({})).toBeUndefined();
    expect(identityOf(undefined)).toBeUndefined();
  });
});
