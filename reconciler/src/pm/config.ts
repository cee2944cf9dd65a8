import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { type SourceInput, sourceInputSchema } from '@oaas/commons/client/pm';
import { loadConfig, secret } from '@oaas/commons/config';
import { oaasError } from '@oaas/commons/errors';
import { isRole, type Role } from '@oaas/commons/security';
import { type Random, randomHex } from '@oaas/commons/time';
import type { ClusterConfig } from './cluster/agent.ts';
import type { TokenConfig } from './access.ts';

const settings = z.object({
  host: z.string().default('127.0.0.1').describe('Address that the REST API listens on'),
  port: z.number().int().min(0).max(65_535).default(8080),
  grpcPort: z.number().int().min(0).max(65_535).default(8087).describe('Port of oaas.package.PackageService'),
  opsPort: z.number().int().min(0).max(65_535).default(9091).describe('Port of /health, /ready, /metrics and /status'),
  storageType: z.enum(['memory', 'embedded']).default('embedded'),
  dataDir: z.string().default('.oaas-pm').describe('Holds the store, the caches of repositories and the admin token'),
  log: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  logPretty: z.boolean().default(false),
  clusters: secret(z.string()).default('').describe('JSON list of {name, url, token}: the CRMs'),
  defaultUrl: z.string().default('').describe('URL of the CRM of a single cluster, called "default"'),
  sourcesFile: z.string().default('').describe('YAML list of sources that are created or updated at start'),
  token: secret(z.string())
    .default('')
    .describe('Token of the administrator; empty: generated into the data directory'),
  tokens: secret(z.string()).default('').describe('Further tokens: name=role:token, separated by commas'),
  anonymousRole: z
    .enum(['none', 'viewer', 'operator', 'admin'])
    .default('none')
    .describe('What callers without a token may do; only on loopback'),
});

export interface PmConfig {
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly opsPort: number;
  readonly storageType: 'memory' | 'embedded';
  readonly dataDir: string;
  readonly log: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  readonly logPretty: boolean;
  readonly clusters: readonly ClusterConfig[];
  readonly sources: readonly SourceInput[];
  readonly tokens: readonly TokenConfig[];
  readonly anonymousRole: Role | undefined;
}

export interface PmConfigInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly argv: readonly string[];
  readonly random: Random;
}

/** Reads everything that PM is told from outside, once. Writes the admin token where there is none. Throws `ConfigInvalid`. */
export function loadPmConfig({ env, argv, random }: PmConfigInput): PmConfig {
  const { config } = loadConfig({
    schema: settings,
    program: 'pm',
    env,
    envPrefix: 'OPRC_PM_',
    envNames: {
      SERVER_HOST: 'host',
      SERVER_PORT: 'port',
      STORAGE_TYPE: 'storageType',
      LOG_LEVEL: 'log',
      CRM_DEFAULT_URL: 'defaultUrl',
      CRM_CLUSTERS_JSON: 'clusters',
    },
    flags: [...argv],
  });
  const anonymousRole = config.anonymousRole === 'none' ? undefined : config.anonymousRole;
  if (anonymousRole !== undefined && !isLoopback(config.host)) {
    throw invalid(
      'OPRC_PM_ANONYMOUS_ROLE',
      `callers without a token are only allowed on loopback, not on ${config.host}`,
      'Set OPRC_PM_HOST=127.0.0.1, or remove it.',
    );
  }
  const dataDir = resolve(config.dataDir);
  makeFolder(dataDir);
  const admin = config.token === '' ? adminToken(dataDir, random) : config.token;
  return {
    host: config.host,
    port: config.port,
    grpcPort: config.grpcPort,
    opsPort: config.opsPort,
    storageType: config.storageType,
    dataDir,
    log: config.log,
    logPretty: config.logPretty,
    clusters: clustersOf(config.clusters, config.defaultUrl, env),
    sources: config.sourcesFile === '' ? [] : readSources(config.sourcesFile, env),
    tokens: [{ name: 'admin', role: 'admin', token: admin }, ...tokensOf(config.tokens)],
    anonymousRole,
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw oaasError('ConfigInvalid', `the data directory ${path} cannot be used: ${messageOf(cause)}`, {
      remedy: 'Check OPRC_PM_DATA_DIR and its permissions.',
      cause,
    });
  }
}

function adminToken(dataDir: string, random: Random): string {
  const path = join(dataDir, 'admin-token');
  if (existsSync(path)) {
    const token = readFileSync(path, 'utf8').trim();
    if (token.length >= 16) return token;
  }
  const token = randomHex(random, 24);
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return token;
}

function tokensOf(text: string): readonly TokenConfig[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .map((each, index) => {
      const [, name, role, token] = /^([^=]+)=([a-z]+):(.{16,})$/.exec(each) ?? [];
      if (name === undefined || role === undefined || token === undefined || !isRole(role)) {
        throw invalid(
          'OPRC_PM_TOKENS',
          `entry ${String(index + 1)} is not name=role:token`,
          'Roles are viewer, operator and admin; a token has at least 16 characters.',
        );
      }
      return { name, role, token };
    });
}

const clusterSchema = z.object({
  name: z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
  url: z.string().regex(/^(https?:\/\/)?[^/\s]+\/?$/),
  token: z.string().min(1).optional(),
});

function clustersOf(json: string, defaultUrl: string, env: PmConfigInput['env']): readonly ClusterConfig[] {
  const clusters: unknown[] = [];
  if (json !== '') {
    try {
      const value: unknown = JSON.parse(json);
      // Older settings are a map of name to settings.
      if (Array.isArray(value)) clusters.push(...(value as unknown[]));
      else if (typeof value === 'object' && value !== null) {
        for (const [name, each] of Object.entries(value)) clusters.push({ name, ...(each as object) });
      }
    } catch (cause) {
      throw invalid(
        'CRM_CLUSTERS_JSON',
        'the list of clusters is not JSON',
        'Write [{"name": "cloud", "url": "http://host:8088", "token": "…"}].',
        cause,
      );
    }
  }
  for (const name of (env['CRM_CLUSTERS'] ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')) {
    const prefix = `CRM_CLUSTER_${name.toUpperCase().replaceAll('-', '_')}_`;
    const token = env[`${prefix}TOKEN`] ?? env[`${prefix}API_KEY`];
    clusters.push({ name, url: env[`${prefix}URL`], ...(token === undefined ? {} : { token }) });
  }
  if (defaultUrl !== '') clusters.push({ name: 'default', url: defaultUrl });
  const parsed = z.array(clusterSchema).max(1000).safeParse(clusters);
  if (!parsed.success)
    throw invalid(
      'CRM_CLUSTERS_JSON',
      z.prettifyError(parsed.error),
      'Each cluster needs a name and the URL of its CRM.',
    );
  const names = parsed.data.map((each) => each.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid('CRM_CLUSTERS_JSON', `the cluster "${twice}" is there twice`, 'Remove one.');
  return parsed.data;
}

/** Sources of a file. `password_env: NAME` and `password_file: PATH` stand for a secret that is kept elsewhere; so for every field. */
function readSources(file: string, env: PmConfigInput['env']): readonly SourceInput[] {
  const origin = `OPRC_PM_SOURCES_FILE ${file}`;
  let value: unknown;
  try {
    value = parseYaml(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw invalid(origin, `cannot be read: ${messageOf(cause)}`, 'It must be a YAML list of sources.', cause);
  }
  const parsed = z
    .array(sourceInputSchema)
    .max(1000)
    .safeParse(withReferences(value, dirname(resolve(file)), env, origin));
  if (!parsed.success) throw invalid(origin, z.prettifyError(parsed.error), 'Correct the named fields.');
  return parsed.data;
}

function withReferences(value: unknown, folder: string, env: PmConfigInput['env'], origin: string): unknown {
  if (Array.isArray(value)) return value.map((item) => withReferences(item, folder, env, origin));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      if (typeof field !== 'string') return [name, withReferences(field, folder, env, origin)];
      if (name.endsWith('_env')) {
        const found = env[field];
        if (found === undefined)
          throw invalid(origin, `${name} names the variable ${field}, which is not set`, 'Set it.');
        return [name.slice(0, -'_env'.length), found];
      }
      if (!name.endsWith('_file')) return [name, field];
      try {
        return [name.slice(0, -'_file'.length), readFileSync(resolve(folder, field), 'utf8').trim()];
      } catch (cause) {
        throw invalid(origin, `${name}: ${messageOf(cause)}`, 'Check the path.', cause);
      }
    }),
  );
}

function invalid(origin: string, message: string, remedy: string, cause?: unknown): Error {
  return oaasError('ConfigInvalid', `${origin}: ${message}`, { remedy, cause });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
