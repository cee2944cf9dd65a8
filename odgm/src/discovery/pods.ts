import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { oaasError } from '@oaas/commons/errors';
import { z } from 'zod';
import type { Found } from './dns.ts';

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

const timeoutMs = 5000;
/** A longer answer is refused: a grid has at most some hundreds of pods. */
const answerBytesMax = 16 * 1024 * 1024;
/** Name of the port of the gRPC services in the pod's specification. */
const portName = 'grpc';

const podSchema = z.object({
  metadata: z.object({ name: z.string(), deletionTimestamp: z.string().optional() }),
  spec: z
    .object({
      containers: z.array(
        z.object({
          ports: z.array(z.object({ name: z.string().optional(), containerPort: z.number() })).default([]),
        }),
      ),
    })
    .optional(),
  status: z.object({ podIP: z.string().optional(), phase: z.string().optional() }).optional(),
});
const listSchema = z.object({ items: z.array(podSchema) });

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
      remedy: 'Give the pod a service account that may list pods, and leave its token mounted.',
      cause: thrown,
    });
  }
}

/**
 * Pods with the label `odgm-cluster=<clusterId>` that have an address and are not ending. Their names are the ids of
 * the nodes. Rejects with `Unavailable`, and with `PermissionDenied` when the service account may not list pods.
 */
export async function nodesOfPods(access: ClusterAccess, clusterId: string, defaultPort: number): Promise<Found[]> {
  const selector = encodeURIComponent(`odgm-cluster=${clusterId}`);
  const text = await get(access, `/api/v1/namespaces/${access.namespace}/pods?labelSelector=${selector}`);
  const { items } = listSchema.parse(JSON.parse(text));
  return items.flatMap(({ metadata, spec, status }) => {
    const ip = status?.podIP;
    const hasEnded = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    if (ip === undefined || hasEnded || metadata.deletionTimestamp !== undefined) return [];
    const ports = spec?.containers.flatMap((container) => container.ports) ?? [];
    const port = ports.find(({ name }) => name === portName)?.containerPort ?? defaultPort;
    return [{ id: metadata.name, address: `${ip.includes(':') ? `[${ip}]` : ip}:${String(port)}` }];
  });
}

async function get({ url, token, ca }: ClusterAccess, path: string): Promise<string> {
  const authorization = `Bearer ${await token()}`;
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      reject(oaasError('Unavailable', 'the API server does not answer', { cause, retryAfterMs: 1000 }));
    };
    const headers = { authorization, accept: 'application/json' };
    const call = request(`${url}${path}`, { ca, headers, timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > answerBytesMax) call.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        if (status === 200) resolve(Buffer.concat(chunks).toString());
        else if (status === 401 || status === 403) reject(forbidden(status));
        else fail(new Error(`status ${String(status)}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error('no answer in time')));
    call.on('error', fail);
    call.end();
  });
}

function forbidden(status: number): Error {
  return oaasError('PermissionDenied', `the API server refuses a list of pods (${String(status)})`, {
    remedy: 'Bind a Role with the verb list on pods to the service account of the grid.',
  });
}
