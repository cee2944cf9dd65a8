import { oaasError } from '@oaas/commons/errors';

export interface Member {
  readonly id: string;
  /** host:port of the gRPC services. */
  readonly address: string;
  /** host:port of the admin API, where known. */
  readonly admin?: string | undefined;
  readonly zone?: string | undefined;
}

/**
 * Reads the member list: `id=host:port[;admin=host:port][;zone=z]` or plain `host:port`, whose id is the first label
 * of the host name (as pods of a StatefulSet are called), or all of it for an IP address and for `localhost`.
 * Throws `ConfigInvalid` for a malformed or repeated member.
 */
export function parseMembers(texts: readonly string[]): Member[] {
  const members = texts.map(parseMember);
  const seen = new Set<string>();
  for (const { id } of members) {
    if (seen.has(id)) throw invalid(`member ${id} is listed twice`);
    seen.add(id);
  }
  return members;
}

function parseMember(text: string): Member {
  const [first = '', ...rest] = text.split(';').map((part) => part.trim());
  const equals = first.indexOf('=');
  const address = hostAndPort(equals < 0 ? first : first.slice(equals + 1), text);
  const id = equals < 0 ? idOfAddress(address) : first.slice(0, equals);
  if (id === '') throw invalid(`member "${text}" has an empty id`);
  const member: { id: string; address: string; admin?: string; zone?: string } = { id, address };
  for (const option of rest) {
    const [key, value = ''] = option.split('=', 2);
    if (key === 'admin') member.admin = hostAndPort(value, text);
    else if (key === 'zone' && value !== '') member.zone = value;
    else throw invalid(`member "${text}" has an unknown part "${option}"`);
  }
  return member;
}

/** host:port without scheme and slash. */
export function hostAndPort(text: string, within: string = text): string {
  const bare = text
    .trim()
    .replace(/^https?:\/\//, '')
    .replace(/\/$/, '');
  if (!/^(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}$/.test(bare)) throw invalid(`"${within}" has no host:port`);
  return bare;
}

function idOfAddress(address: string): string {
  const host = address.slice(0, address.lastIndexOf(':'));
  const isName = /[a-zA-Z]/.test(host) && !host.startsWith('[') && host !== 'localhost';
  return isName ? (host.split('.')[0] ?? host) : address;
}

/**
 * The members with this node among them. An empty list is a grid of this node alone. A node that is not listed by id
 * is looked for by its address. Throws `ConfigInvalid` when it is not there at all.
 */
export function withSelf(
  members: readonly Member[],
  self: { readonly id: string; readonly address: string },
): { readonly members: readonly Member[]; readonly self: Member } {
  if (members.length === 0) return { members: [self], self };
  const found = members.find(({ id }) => id === self.id) ?? members.find(({ address }) => address === self.address);
  if (found === undefined) {
    throw invalid(`this node (${self.id}, ${self.address}) is not among the members`, {
      members: members.map(({ id }) => id),
    });
  }
  return { members, self: found };
}

function invalid(message: string, details?: Record<string, readonly string[]>): Error {
  return oaasError('ConfigInvalid', message, {
    remedy: 'Correct ODGM_MEMBERS (id=host:port[;admin=host:port][;zone=z], …) or ODGM_NODE_ID.',
    details,
  });
}
