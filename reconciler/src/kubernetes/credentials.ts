import type { RequestOptions } from 'node:https';
import { oaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';

/** Which cluster, and as whom. */
export interface ClusterOptions {
  /** Path of a kubeconfig. Absent: in the cluster, by the pod's service account. */
  readonly kubeconfig?: string | undefined;
  /** Content of a kubeconfig instead of a path. */
  readonly kubeconfigText?: string | undefined;
  /** Context of the kubeconfig. Absent: its current one. */
  readonly context?: string | undefined;
}

/** TLS material and headers of the moment. */
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: {
    readonly ca?: Buffer | string | undefined;
    readonly cert?: Buffer | string | undefined;
    readonly key?: Buffer | string | undefined;
    readonly servername?: string | undefined;
    readonly rejectUnauthorized?: boolean | undefined;
  };
}

export interface Cluster {
  /** Base URL without a trailing slash. */
  readonly server: string;
  /** Name of the context, or `in-cluster`. */
  readonly name: string;
  /** Namespace of the context or of the pod. */
  readonly namespace: string | undefined;
  readonly proxyUrl: string | undefined;
  /** Current credentials; asked of the kubeconfig's authenticator at most every 10 s. `renew` asks at once. */
  credentials(renew?: boolean): Promise<Credentials>;
}

/** Service account tokens and exec plugins rotate; client-node's authenticators cache on their side too. */
const credentialsTtlMs = 10_000;

/** Reads the kubeconfig or the service account. Throws `ConfigInvalid` naming what is missing. */
export function loadCluster(options: ClusterOptions, clock: Clock): Cluster {
  const config = new KubeConfig();
  const origin =
    options.kubeconfig ?? (options.kubeconfigText === undefined ? 'the service account of the pod' : 'the kubeconfig');
  try {
    if (options.kubeconfigText !== undefined) config.loadFromString(options.kubeconfigText);
    else if (options.kubeconfig !== undefined) config.loadFromFile(options.kubeconfig);
    else config.loadFromCluster();
  } catch (error) {
    throw oaasError('ConfigInvalid', `${origin} cannot be read: ${toOaasError(error).message}`, {
      remedy: 'Name a kubeconfig in OPRC_CRM_KUBECONFIG or KUBECONFIG, or run inside a cluster.',
      cause: error,
    });
  }
  if (options.context !== undefined) {
    const names = config.getContexts().map((context) => context.name);
    if (!names.includes(options.context)) {
      throw oaasError('ConfigInvalid', `${origin} has no context "${options.context}"`, {
        remedy: `Use one of ${names.join(', ')}.`,
      });
    }
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null || cluster.server === '') {
    throw oaasError('ConfigInvalid', `${origin} names no cluster`, {
      remedy: 'Set current-context, or name a context.',
    });
  }
  return {
    server: cluster.server.replace(/\/+$/, ''),
    name: config.getCurrentContext(),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    proxyUrl: cluster.proxyUrl,
    credentials: cached(config, clock),
  };
}

function cached(config: KubeConfig, clock: Clock): Cluster['credentials'] {
  let current: { readonly at: number; readonly value: Promise<Credentials> } | undefined;
  return (renew = false) => {
    const now = clock.monotonic();
    if (!renew && current !== undefined && now - current.at < credentialsTtlMs) return current.value;
    const value = readCredentials(config);
    current = { at: now, value };
    value.catch(() => {
      current = undefined;
    });
    return value;
  };
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
  if (options.auth !== undefined && options.auth !== null) {
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  }
  return {
    headers,
    tls: {
      ca: options.ca as Buffer | string | undefined,
      cert: options.cert as Buffer | string | undefined,
      key: options.key as Buffer | string | undefined,
      servername: options.servername,
      rejectUnauthorized: options.rejectUnauthorized,
    },
  };
}
