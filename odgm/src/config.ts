import { collectionOptionsHelp, duration, type LoadedConfig, loadConfig, secret } from '@oaas/commons/config';
import { z } from 'zod';
import { settingsSchema } from './admin/index.ts';
import { parseMembers } from './node/index.ts';

const portSchema = z.number().int().min(0).max(65_535);
const name = z.string().regex(/^[A-Za-z0-9._:-]{1,200}$/, 'letters, digits and . _ : - only, 1 to 200 of them');

const routeSchema = z.object({
  url: z
    .string()
    .regex(/^(http:\/\/)?[^/\s]+:\d+\/?$/, 'http://host:port')
    .describe('Where the function listens (gRPC without TLS).'),
  stateless: z.boolean().default(false).describe('The function needs no object.'),
  functionKey: z.string().optional().describe('Key of the function in its package.'),
});

const collectionSchema = z.object({
  name,
  classIds: z.array(name).default([]).describe('Class ids (package.Class) that this collection answers to.'),
  partitionCount: z.number().int().min(1).max(65_536).default(1),
  replicaCount: z.number().int().min(1).max(9).default(1),
  shardType: z
    .enum(['basic', 'raft', 'mst'])
    .optional()
    .describe(
      'Default: of a collection that there is, as it is; of a new one, raft with several replicas, else basic.',
    ),
  durability: z.enum(['persistent', 'ephemeral']).default('persistent'),
  // What they may be the grid says: a bad one must not keep the node from serving what there is.
  options: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .default({})
    .describe(`Options of the collection. ${collectionOptionsHelp.join('; ')}.`),
  invocations: z
    .object({
      fnRoutes: z.record(z.string(), routeSchema).default({}),
      disabledFn: z.array(z.string()).default([]),
    })
    .default({ fnRoutes: {}, disabledFn: [] }),
});

const schema = z.object({
  clusterId: z.string().min(1).default('odgm').describe('Nodes of another cluster id are refused.'),
  nodeId: z.string().min(1).optional().describe('Id of this node among the members. Default: the host name.'),
  nodeAddr: z.string().optional().describe('Address that other nodes reach this one at (host:port or URL).'),
  members: z
    .array(z.string())
    .default([])
    .describe('All nodes: id=host:port[;admin=host:port][;zone=z], or host:port. Default: this node alone.'),
  discovery: z
    .enum(['list', 'dns', 'pods'])
    .default('list')
    .describe('How other nodes are found: members, the addresses of discoveryName, or pods labelled odgm-cluster.'),
  discoveryName: z.string().min(1).optional().describe('Name whose addresses are the nodes, as of a headless Service.'),
  expectedMembers: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(3)
    .describe('With dns or pods: so many nodes must be found before they form a new cluster.'),
  zone: z
    .string()
    .min(1)
    .optional()
    .describe('Failure domain of this node. With a list: unless the list says another one.'),
  collections: z.array(collectionSchema).default([]).describe('Collections of the grid.'),
  settings: settingsSchema
    .default({})
    .describe('Settings of the whole grid, for the node that forms a new one. Later: PUT /admin/settings.'),
  dataDir: z.string().default('/data').describe('Directory of the persistent collections; this node is its only user.'),
  capacityBytes: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe(
      'Bytes of ids, keys and values that this node may hold: no replica moves here beyond. Default: no bound.',
    ),
  bindHost: z.string().default('0.0.0.0').describe('Address to listen on.'),
  httpPort: portSchema.default(8080).describe('Port of the gRPC services.'),
  adminPort: portSchema.default(8081).describe('Port of the admin API, health and metrics.'),
  adminToken: secret(
    z
      .string()
      .regex(/^[A-Za-z0-9._~+/-]{16,}=*$/, 'at least 16 of the characters that a bearer token may have')
      .optional(),
  ).describe('Bearer token of the admin API. Default: none asked.'),
  adminJwtSecret: secret(z.string().min(32, 'at least 32 characters').optional()).describe(
    'Key (HS256) of signed tokens for the admin API, with claims sub, collection, permissions and exp. Default: none.',
  ),
  tracesEndpoint: z
    .url({ protocol: /^https?$/, error: 'http://host:port/v1/traces' })
    .optional()
    .describe('Where spans go, by OTLP over HTTP. Default: none are made.'),
  tracesRatio: z.number().min(0).max(1).default(1).describe('Of the traces that begin here, so many are recorded.'),
  tracesInterval: duration().default(5000).describe('How long spans wait to be sent together.'),
  log: z.string().default('info').describe('Log level; of the form debug,h2=info only the first word counts.'),
  leaseReads: z
    .boolean()
    .default(false)
    .describe('A leader answers linearizable reads by its lease, without asking the others: no clock may run off.'),
  maxSessions: z.number().int().min(1).max(64).default(4).describe('Connections to each function and each member.'),
  maxInvocations: z.number().int().min(1).default(1024).describe('Function calls in flight; more are refused.'),
  invocationTimeout: duration().default(30_000).describe('Longest function call, when the caller sets no deadline.'),
  reflectionEnabled: z.boolean().default(false).describe('Serve gRPC reflection.'),
  eventsEnabled: z
    .boolean()
    .default(true)
    .describe('Fire the triggers of objects. False: none are fired, and those that wait are kept.'),
  maxTriggerDepth: z
    .number()
    .int()
    .min(1)
    .default(10)
    .describe('Calls of triggers that may lead to each other; a deeper one becomes a dead letter.'),
  triggerTimeoutMs: duration().default(30_000).describe('Longest call of a trigger; it is tried again after that.'),
  heartbeatInterval: duration().default(1000).describe('How often each member asks the others for their report.'),
  joinTimeout: duration().default(3000).describe('How long a start waits to hear from all members.'),
  drainTimeout: duration().default(8000).describe('How long a stop waits for calls in flight.'),
});

export type OdgmConfig = LoadedConfig<z.output<typeof schema>>['config'];

/**
 * Reads the configuration of a node: file (`ODGM_CONFIG`, YAML) < environment (`ODGM_*`) < flags.
 * Throws `ConfigInvalid` with everything that is wrong, and `ExitRequest` for `--help`.
 */
export function loadOdgmConfig(
  env: Readonly<Record<string, string | undefined>>,
  argv: readonly string[],
): LoadedConfig<z.output<typeof schema>> {
  const loaded = loadConfig({
    schema,
    program: 'odgm',
    file: env['ODGM_CONFIG'],
    env,
    envPrefix: 'ODGM_',
    envNames: {
      ODGM_COLLECTION: 'collections',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'tracesEndpoint',
      OTEL_TRACES_SAMPLER_ARG: 'tracesRatio',
    },
    envIgnored: (variable) => variable === 'ODGM_CONFIG',
    flags: argv,
  });
  // A list that a start would refuse is refused where a running node looks at it, too.
  parseMembers(loaded.config.members);
  return loaded;
}
