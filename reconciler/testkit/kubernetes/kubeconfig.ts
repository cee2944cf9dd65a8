import { stringify } from 'yaml';

/** What a kubeconfig with one cluster, one user and one context says. */
export interface KubeconfigFacts {
  /** Name of the cluster, the user and the context. */
  readonly name: string;
  readonly url: string;
  readonly token: string;
  readonly caPem: string;
}

/** Renders a kubeconfig (client.config, v1) that kubectl and client-node read. Holds a token: write it with mode 0600. */
export function renderKubeconfig(facts: KubeconfigFacts): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: facts.name,
        cluster: {
          server: facts.url,
          'certificate-authority-data': Buffer.from(facts.caPem).toString('base64'),
        },
      },
    ],
    users: [{ name: facts.name, user: { token: facts.token } }],
    contexts: [{ name: facts.name, context: { cluster: facts.name, user: facts.name, namespace: 'default' } }],
    'current-context': facts.name,
  });
}
