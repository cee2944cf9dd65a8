import { readFile } from 'node:fs/promises';
import { oaasError } from '@oaas/commons/errors';

/** How to reach the API server, as a pod finds it in its own file system. */
export interface ClusterAccess {
  /** Of the API server, such as `https://10.0.0.1:443`. */
  readonly url: string;
  readonly namespace: string;
  /** Read each time: the token is renewed by the kubelet. */
  readonly token: () => Promise<string>;
  /** PEM; undefined: the authorities of the system. */
  readonly ca: string | undefined;
}

const accountDir = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The access that Kubernetes gives to every pod. Throws `ConfigInvalid` outside of one. */
export async function accessOfPod(env: Readonly<Record<string, string | undefined>>): Promise<ClusterAccess> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined) {
    throw oaasError('ConfigInvalid', 'pods can be discovered only from within a pod', {
      remedy: 'Use ODGM_DISCOVERY=list with ODGM_MEMBERS, or dns with ODGM_DISCOVERY_NAME.',
    });
  }
  try {
    return {
      url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      namespace: (await readFile(`${accountDir}/namespace`, 'utf8')).trim(),
      ca: await readFile(`${accountDir}/ca.crt`, 'utf8'),
      token: async () => (await readFile(`${accountDir}/token`, 'utf8')).trim(),
    };
  } catch (thrown) {
    throw oaasError('ConfigInvalid', 'the service account of the pod cannot be read', {
      remedy: 'Give the pod a service account that may list and watch pods, and leave its token mounted.',
      cause: thrown,
    });
  }
}
