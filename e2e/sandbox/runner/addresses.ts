/** What a cluster address points at. */
export type AddressTarget =
  | { readonly kind: 'service'; readonly namespace: string; readonly name: string; readonly port: number }
  | { readonly kind: 'pod'; readonly namespace: string; readonly name: string; readonly port: number };

const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
/** `[<pod>.]<service>.<namespace>.svc[.cluster.local]:<port>` */
const clusterAddress = new RegExp(
  `(?<![-.a-z0-9])(?:(${label})\\.)?(${label})\\.(${label})\\.svc(?:\\.cluster\\.local)?:(\\d{1,5})(?!\\d)`,
  'g',
);

/** The distinct targets of the cluster addresses in `text`, in order of appearance. */
export function addressesIn(text: string): AddressTarget[] {
  const found = new Map<string, AddressTarget>();
  for (const match of text.matchAll(clusterAddress)) {
    const target = targetOf(match);
    found.set(targetKey(target), target);
  }
  return [...found.values()];
}

/**
 * `text` with every cluster address replaced by `127.0.0.1:<port>`: processes of this machine have no cluster DNS.
 * `hostPorts` gives the loopback port by {@link targetKey}; an address that it does not know stays as it is.
 */
export function rewriteAddresses(text: string, hostPorts: ReadonlyMap<string, number>): string {
  return text.replace(clusterAddress, (...parts) => {
    const match = parts.slice(0, 5) as unknown as RegExpMatchArray;
    const port = hostPorts.get(targetKey(targetOf(match)));
    return port === undefined ? match[0] : `127.0.0.1:${String(port)}`;
  });
}

export function targetKey(target: AddressTarget): string {
  return `${target.kind}/${target.namespace}/${target.name}/${String(target.port)}`;
}

function targetOf([, pod, service = '', namespace = '', port]: RegExpMatchArray): AddressTarget {
  return pod === undefined
    ? { kind: 'service', namespace, name: service, port: Number(port) }
    : { kind: 'pod', namespace, name: pod, port: Number(port) };
}
