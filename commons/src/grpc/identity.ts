import type { PeerCertificate } from 'node:tls';

/** Who a caller is by the certificate that it has shown and that the server's authority has signed (mutual TLS). */
export interface PeerIdentity {
  readonly commonName: string | undefined;
  readonly dnsNames: readonly string[];
  /** Such as SPIFFE ids. */
  readonly uris: readonly string[];
  /** SHA-256 of the certificate, as hexadecimal pairs with colons. */
  readonly fingerprint: string;
}

/** Where the {@link PeerIdentity} lies in the attributes of a call. Nothing lies there without mutual TLS. */
export const peerIdentityKey = 'peer.identity';

/** @param certificate verified, as node:tls gives it; an empty object for none. */
export function identityOf(certificate: Partial<PeerCertificate> | undefined): PeerIdentity | undefined {
  if (certificate?.fingerprint256 === undefined) return undefined;
  const commonName: unknown = certificate.subject?.CN;
  const names = alternativeNames(certificate.subjectaltname ?? '');
  return {
    commonName: typeof commonName === 'string' ? commonName : undefined,
    dnsNames: names.flatMap(([kind, name]) => (kind === 'DNS' ? [name] : [])),
    uris: names.flatMap(([kind, name]) => (kind === 'URI' ? [name] : [])),
    fingerprint: certificate.fingerprint256,
  };
}

/** Reads `DNS:a.example, URI:"spiffe://a, b"`: Node.js writes a value as JSON where it could be taken for several. */
function alternativeNames(text: string): (readonly [kind: string, name: string])[] {
  const found = text.matchAll(/(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)/g);
  return [...found].map(([, kind = '', name = '']) => [kind, name.startsWith('"') ? unquoted(name) : name] as const);
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    // A name that cannot be read is the name of nobody.
    return '';
  }
}
