import { type LoadedConfig, loadConfig, secret } from '@oaas/commons/config';
import { oaasError } from '@oaas/commons/errors';
import { logLevels } from '@oaas/commons/telemetry';
import { z } from 'zod';

const port = z.number().int().min(0).max(65_535);
const notUsed = 'Accepted; enforcement of requirements is not part of this build.';

const schema = z.object({
  profile: z.enum(['full', 'dev', 'edge']).default('dev').describe('Preset of the other settings.'),
  env: z.string().min(1).max(253).default('default').describe('Name of the environment that this cluster is.'),
  bindHost: z.string().default('127.0.0.1').describe('Address to listen on.'),
  grpcPort: port.default(8088).describe('Port of the gRPC services.'),
  opsPort: port.default(9090).describe('Port of /health, /ready, /metrics and /status.'),
  kubeconfig: z.string().optional().describe('Path of a kubeconfig. Default: the service account of the pod.'),
  context: z.string().optional().describe('Context of the kubeconfig. Default: its current one.'),
  k8sNamespace: z
    .string()
    .regex(/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/, 'a namespace: letters, digits and dashes')
    .optional()
    .describe('Namespace of records and their children. Default: that of the pod or of the context, else default.'),
  token: secret(z.string().min(16).max(4096).optional()).describe('Bearer token that callers must send.'),
  gridAccess: z
    .enum(['direct', 'proxy'])
    .default('direct')
    .describe('How grids are asked: by cluster DNS, or through the API server (for a CRM outside the cluster).'),
  serviceType: z
    .enum(['ClusterIP', 'NodePort'])
    .default('ClusterIP')
    .describe('Services of grids; NodePort serves clients outside the cluster.'),
  odgmImage: z.string().min(1).default('oaas/odgm:dev').describe('Image of grid nodes.'),
  odgmEphemeral: z.boolean().default(false).describe('Grids keep everything in memory, without volumes.'),
  odgmVolumePermissions: z
    .boolean()
    .default(false)
    .describe(
      'Hand volumes to the grid by an init container that runs as root: for provisioners that ignore fsGroup (hostPath).',
    ),
  applyCrds: z.boolean().default(true).describe('Apply the CRDs at start. False: the chart has done it.'),
  workers: z.number().int().min(1).max(64).default(16).describe('Records in work at once.'),
  log: z.enum(logLevels).default('info').describe('Log level.'),
  features: z
    .object({
      nfrEnforcement: z.boolean().default(false).describe(notUsed),
      hpa: z.boolean().default(false).describe(notUsed),
      knative: z.boolean().default(false).describe('Accepted; this build has no Knative template.'),
      prometheus: z.boolean().default(false).describe(notUsed),
      leaderElection: z.boolean().default(true).describe('Work only while this process holds the lease.'),
    })
    .prefault({}),
  enforcement: z
    .object({
      cooldownSecs: z.number().int().min(0).default(120).describe(notUsed),
      maxReplicaDelta: z.number().int().min(0).max(100).default(30).describe(`Percent. ${notUsed}`),
    })
    .prefault({}),
  limits: z.object({ maxReplicas: z.number().int().min(1).default(20).describe(notUsed) }).prefault({}),
  promUrl: z.string().optional().describe(notUsed),
  security: z
    .object({
      mtls: z.boolean().default(false).describe('Callers must show a certificate of the authority in caFile.'),
      certFile: z.string().optional().describe('Certificate of the gRPC server (PEM).'),
      keyFile: z.string().optional().describe('Its key (PEM).'),
      caFile: z.string().optional().describe('Authority of the callers (PEM).'),
    })
    .prefault({}),
});

export type CrmConfig = LoadedConfig<z.output<typeof schema>>['config'];

/** Presets of the specification, section "Runtime profiles". */
const profiles = {
  full: {
    log: 'info',
    features: { nfrEnforcement: true, hpa: true, knative: true, prometheus: true, leaderElection: true },
    enforcement: { cooldownSecs: 60 },
    limits: { maxReplicas: 50 },
    security: { mtls: true },
  },
  dev: { log: 'debug' },
  edge: { features: { nfrEnforcement: true }, enforcement: { cooldownSecs: 180 } },
} as const;

/**
 * Reads defaults < profile < file (`OPRC_CRM_CONFIG`) < `OPRC_CRM_*` < flags. `KUBECONFIG` counts where `OPRC_CRM_KUBECONFIG` is not
 * given; of a list of paths the first. Throws `ConfigInvalid` with everything that is wrong at once.
 */
export function loadCrmConfig(
  env: Readonly<Record<string, string | undefined>>,
  argv: readonly string[],
): LoadedConfig<z.output<typeof schema>> {
  const [kubeconfig] = (env['KUBECONFIG'] ?? '').split(':');
  const loaded = loadConfig({
    schema,
    program: 'oaas-crm',
    profiles,
    profileKey: 'profile',
    file: env['OPRC_CRM_CONFIG'],
    env: { ...env, KUBECONFIG: kubeconfig },
    envPrefix: 'OPRC_CRM_',
    envNames: { KUBECONFIG: 'kubeconfig' },
    envIgnored: (variable) => variable === 'OPRC_CRM_CONFIG',
    flags: argv,
  });
  checkAccess(loaded.config);
  return loaded;
}

/** Whoever can reach this port can run images in the cluster. */
function checkAccess({ security, token, bindHost }: CrmConfig): void {
  const { mtls, certFile, keyFile, caFile } = security;
  if (mtls && (certFile === undefined || keyFile === undefined || caFile === undefined)) {
    throw oaasError('ConfigInvalid', 'mutual TLS is on, and its files are not named', {
      remedy: 'Set OPRC_CRM_SECURITY_CERT_FILE, _KEY_FILE and _CA_FILE, or OPRC_CRM_SECURITY_MTLS=false.',
    });
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw oaasError('ConfigInvalid', 'a certificate needs its key, and a key its certificate', {
      remedy: 'Set both OPRC_CRM_SECURITY_CERT_FILE and OPRC_CRM_SECURITY_KEY_FILE.',
    });
  }
  const isLoopback = bindHost === '::1' || bindHost === 'localhost' || bindHost.startsWith('127.');
  if (token === undefined && !mtls && !isLoopback) {
    throw oaasError('ConfigInvalid', `anybody who reaches ${bindHost} could deploy`, {
      remedy: 'Set OPRC_CRM_TOKEN, turn mutual TLS on, or listen on 127.0.0.1.',
    });
  }
}
