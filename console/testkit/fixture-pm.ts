import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  sourceInputSchema,
  type Overview,
  type PlatformEvent,
  type Source,
  type SyncRun,
} from '@oaas/commons/client/pm';
import { makeFixtures, type Fixtures } from './fixtures.ts';

export interface FixturePm {
  readonly url: string;
  readonly token: string;
  readonly fixtures: Fixtures;
  /** Sends an event to every listener. */
  emit(topic: PlatformEvent['topic'], key: string): void;
  close(): Promise<void>;
}

type Answer = {
  readonly status?: number;
  readonly body?: unknown;
  readonly total?: number;
  readonly next?: string | null;
};

/** PM's REST contract over typed fixtures: lists page, sort and filter; actions change what is there and send events. Loopback only. */
export async function startFixturePm(
  options: {
    readonly port?: number;
    readonly token?: string;
    readonly now?: () => number;
    readonly fleet?: number;
  } = {},
): Promise<FixturePm> {
  const now = options.now ?? Date.now;
  const token = options.token ?? 'fixture-token';
  const fixtures = makeFixtures(now(), options.fleet);
  const listeners = new Set<ServerResponse>();
  let sequence = 0;

  const emit = (topic: PlatformEvent['topic'], key: string) => {
    sequence += 1;
    const event: PlatformEvent = { topic, action: 'modified', key, at: new Date(now()).toISOString() };
    for (const listener of listeners)
      listener.write(`id: ${String(sequence)}\nevent: ${topic}\ndata: ${JSON.stringify(event)}\n\n`);
  };
  const audit = (action: string, resource: string, detail: string) => {
    fixtures.audit.unshift({
      id: randomUUID(),
      at: new Date(now()).toISOString(),
      actor: 'admin',
      role: 'admin',
      action,
      resource,
      remote_address: '127.0.0.1',
      result: 'succeeded',
      detail,
    });
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fixture');
    const path = url.pathname
      .replace(/^\/api\/v1/, '')
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
    if (request.headers.authorization !== `Bearer ${token}`) {
      send(response, problem(401, 'Unauthenticated', 'The token is not known.'));
      return;
    }
    if (path[0] === 'events') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      response.write('retry: 1000\n\n');
      listeners.add(response);
      request.on('close', () => listeners.delete(response));
      return;
    }
    const body = await readJson(request);
    send(
      response,
      route(request.method ?? 'GET', path, url.searchParams, body) ??
        problem(404, 'NotFound', `${url.pathname} does not exist.`),
    );
  }

  function route(
    method: string,
    [kind, id, verb]: readonly string[],
    search: URLSearchParams,
    body: Record<string, unknown>,
  ): Answer | null {
    const what = `${method} ${kind ?? ''}${id === undefined ? '' : '/:id'}${verb === undefined ? '' : '/:verb'}`;
    switch (what) {
      case 'GET whoami':
        return { body: { subject: 'admin', role: 'admin' } };
      case 'GET overview':
        return { body: overview(fixtures) };
      case 'GET clusters':
        return list(fixtures.clusters, search, { text: (each) => each.name, standard: 'name' });
      case 'GET packages':
        return list(fixtures.packages, search, {
          text: (each) => each.name,
          standard: 'name',
          field: (each, name) => (name === 'source' ? each.origin.source : undefined),
        });
      case 'GET packages/:id':
        return found(fixtures.packages.find((each) => each.name === id));
      case 'GET deployment-records':
        return list(fixtures.records, search, {
          text: (each) => `${each.package_name}.${each.class_key} ${each.deployment_key} ${each.id}`,
          standard: 'package_name',
          field: (each, name) =>
            ({
              environment: each.target_environment,
              package: each.package_name,
              sync: each.axes.sync.status,
              health: each.axes.health.status,
              data: each.axes.data.status,
              nfr: each.axes.nfr.status,
              held: String(each.hold !== null),
            })[name],
        });
      case 'GET deployment-records/:id':
        return found(fixtures.records.find((each) => each.id === id));
      case 'POST deployment-records/:id/:verb':
        return confirm(id ?? '', String(body['confirm']));
      case 'GET grid/:id/:verb':
        return found(grid(`${id ?? ''}/${verb ?? ''}`));
      case 'GET audit':
        return list(fixtures.audit, search, {
          text: (each) => `${each.actor} ${each.action} ${each.resource}`,
          standard: '-at',
        });
      case 'GET plans/:id':
        return found(fixtures.plans.get(id ?? ''));
      case 'POST plans':
        return planOf(String(body['source']), (body['ref'] as { commit?: string } | undefined)?.commit ?? '');
      case 'GET sources':
        return list(fixtures.sources, search, { text: (each) => `${each.name} ${each.url}`, standard: 'name' });
      case 'GET sources/:id':
        return found(fixtures.sources.find((each) => each.name === id));
      case 'PUT sources/:id':
        return putSource(body);
      case 'DELETE sources/:id':
        fixtures.sources = fixtures.sources.filter((each) => each.name !== id);
        emit('source', id ?? '');
        audit('source.delete', `sources/${id ?? ''}`, '');
        return { status: 204 };
      case 'GET sources/:id/:verb':
        return list(
          fixtures.runs.filter((run) => run.source === id),
          search,
          { text: (each) => each.commit.message, standard: '-started_at' },
        );
      case 'POST sources/:id/:verb':
        return act(id ?? '', verb ?? '', body);
      default:
        return null;
    }
  }

  /** The grid is always observed at this moment. */
  function grid(key: string) {
    const known = fixtures.grids.get(key);
    return known === undefined ? undefined : { ...known, observed_at: new Date(now()).toISOString() };
  }

  function confirm(id: string, text: string): Answer {
    const record = fixtures.records.find((each) => each.id === id);
    if (record === undefined) return problem(404, 'NotFound', `There is no record ${id}.`);
    if (record.hold?.confirm !== text)
      return problem(409, 'FailedPrecondition', 'The text does not match what is to be confirmed.');
    fixtures.records = fixtures.records.filter((each) => each.id !== id);
    emit('record', id);
    audit('deployment.confirm', `deployment-records/${id}`, text);
    return { body: { ...record, hold: null } };
  }

  function planOf(source: string, commit: string): Answer {
    const run = fixtures.runs.find((each) => each.source === source && each.commit.id === commit);
    const base = [...fixtures.plans.values()].find((each) => each.source === source);
    if (run === undefined || base === undefined)
      return problem(404, 'RefNotFound', `${source} has no commit ${commit}.`);
    return { body: { ...base, id: `plan-${commit.slice(0, 8)}`, commit: run.commit, verdict: 'changes' } };
  }

  function putSource(body: Record<string, unknown>): Answer {
    const parsed = sourceInputSchema.safeParse(body);
    if (!parsed.success)
      return problem(400, 'InvalidArgument', parsed.error.issues[0]?.message ?? 'The source is not valid.');
    const { auth, webhook_secret: secret, ...input } = parsed.data;
    const before = fixtures.sources.find((each) => each.name === input.name);
    const at = new Date(now()).toISOString();
    const source: Source = {
      ...(before ?? emptySource(at)),
      ...input,
      auth_type: auth.type,
      auth_username: auth.type === 'basic' ? auth.username : null,
      webhook: { path: `/api/v1/webhooks/${input.name}`, secret_set: secret !== undefined, last_delivery_at: null },
      updated_at: at,
    };
    fixtures.sources = [...fixtures.sources.filter((each) => each.name !== input.name), source];
    emit('source', input.name);
    audit('source.put', `sources/${input.name}`, '');
    return { status: before === undefined ? 201 : 200, body: source };
  }

  function act(name: string, verb: string, body: Record<string, unknown>): Answer {
    const index = fixtures.sources.findIndex((each) => each.name === name);
    const source = fixtures.sources[index];
    if (source === undefined) return problem(404, 'NotFound', `There is no source ${name}.`);
    const at = new Date(now()).toISOString();
    const changed = ((): Partial<Source> | null => {
      switch (verb) {
        case 'sync':
          return { last_checked_at: at };
        case 'suspend':
          return {
            suspended: { by: 'admin', reason: String(body['reason']), at },
            phase: 'Suspended',
            message: 'Suspended by admin.',
          };
        case 'resume':
          return { suspended: null, pinned: null, phase: 'Synced', message: 'Follows its ref.' };
        case 'rollback':
          return rollback(source, String(body['commit']), at);
        default:
          return null;
      }
    })();
    if (changed === null) return problem(404, 'NotFound', `A source cannot ${verb}.`);
    const next = { ...source, ...changed };
    fixtures.sources[index] = next;
    emit('source', name);
    audit(`source.${verb}`, `sources/${name}`, '');
    return { body: next };
  }

  function rollback(source: Source, commit: string, at: string): Partial<Source> | null {
    const old = fixtures.runs.find((each) => each.source === source.name && each.commit.id === commit);
    if (old === undefined) return null;
    const run: SyncRun = {
      ...old,
      id: randomUUID(),
      trigger: 'rollback',
      actor: 'admin',
      phase: 'Succeeded',
      started_at: at,
      finished_at: at,
      duration_ms: 210,
    };
    fixtures.runs.unshift(run);
    emit('run', run.id);
    return {
      pinned: { commit, by: 'admin', at },
      attempted_commit: old.commit,
      applied_commit: old.commit,
      phase: 'Synced',
      message: 'Pinned by a rollback.',
    };
  }

  const server: Server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => send(response, problem(500, 'Internal', String(error))));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    token,
    fixtures,
    emit,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function found(value: unknown): Answer {
  return value === undefined ? problem(404, 'NotFound', 'There is no such thing.') : { body: value };
}

function problem(status: number, code: string, detail: string): Answer {
  return {
    status,
    body: { type: `urn:oaas:error:${code}`, title: code, status, code, detail, remedy: 'Check the name.' },
  };
}

interface ListOptions<Item> {
  readonly text: (item: Item) => string;
  readonly standard: string;
  readonly field?: (item: Item, name: string) => unknown;
}

const reserved = new Set(['limit', 'cursor', 'sort', 'q']);

function list<Item extends object>(all: readonly Item[], search: URLSearchParams, options: ListOptions<Item>): Answer {
  const field = (item: Item, name: string) => options.field?.(item, name) ?? (item as Record<string, unknown>)[name];
  const q = (search.get('q') ?? '').toLowerCase();
  const sort = search.get('sort') ?? options.standard;
  const name = sort.replace(/^-/, '');
  const direction = sort.startsWith('-') ? -1 : 1;
  const matching = all
    .filter(
      (item) =>
        options.text(item).toLowerCase().includes(q) &&
        [...search].every(([key, value]) => reserved.has(key) || field(item, key) === value),
    )
    .toSorted((a, b) => direction * compare(field(a, name), field(b, name)));
  const from = Number(search.get('cursor') ?? 0);
  const limit = Number(search.get('limit') ?? 50);
  const next = from + limit < matching.length ? String(from + limit) : null;
  return { body: matching.slice(from, from + limit), total: matching.length, next };
}

function compare(a: unknown, b: unknown): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
}

function send(response: ServerResponse, answer: Answer): void {
  response.statusCode = answer.status ?? 200;
  response.setHeader('content-type', 'application/json');
  if (answer.total !== undefined) response.setHeader('x-total-count', String(answer.total));
  if (answer.next != null) response.setHeader('x-next-cursor', answer.next);
  response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function emptySource(at: string): Source {
  return {
    name: '',
    url: '',
    ref: { branch: 'main' },
    path: '',
    interval_seconds: 15,
    timeout_seconds: 30,
    prune: 'keep',
    auth_type: 'none',
    auth_username: null,
    webhook: { path: '', secret_set: false, last_delivery_at: null },
    suspended: null,
    pinned: null,
    phase: 'Pending',
    message: 'Not read yet.',
    conditions: [],
    observed_commit: null,
    attempted_commit: null,
    applied_commit: null,
    last_checked_at: null,
    next_check_at: null,
    plan_id: null,
    plan_summary: null,
    packages: 0,
    created_at: at,
    updated_at: at,
  };
}

function overview({ sources, packages, records, clusters, runs }: Fixtures): Overview {
  const sum = (of: (each: (typeof records)[number]) => number) => records.reduce((total, each) => total + of(each), 0);
  const count = (test: (each: (typeof records)[number]) => boolean) => records.filter(test).length;
  return {
    sources: {
      total: sources.length,
      synced: sources.filter((each) => each.phase === 'Synced').length,
      attention: sources.filter((each) => ['Refused', 'Failed', 'Stalled'].includes(each.phase)).length,
    },
    packages: packages.length,
    records: {
      total: records.length,
      synced: count((each) => each.axes.sync.status === 'Synced'),
      healthy: count((each) => each.axes.health.status === 'Healthy'),
      progressing: count((each) => each.axes.health.status === 'Progressing'),
      degraded: count((each) => each.axes.health.status === 'Degraded'),
      held: count((each) => each.hold !== null),
    },
    data: {
      objects: sum((each) => each.axes.data.objects ?? 0),
      bytes: sum((each) => each.axes.data.bytes ?? 0),
      shards_ready: sum((each) => each.axes.data.shards_ready),
      shards_total: sum((each) => each.axes.data.shards_total),
    },
    clusters: { total: clusters.length, connected: clusters.filter((each) => each.connection === 'Connected').length },
    commit_to_applied_ms: { p50: 431, p95: 998, last: 812 },
    recent_runs: runs.slice(0, 10),
    attention: [
      ...sources
        .filter((each) => each.phase === 'Refused')
        .map((each) => ({
          severity: 'error' as const,
          title: `${each.name} is refused`,
          detail: each.message,
          link: `/sources/${each.name}`,
        })),
      ...records
        .filter((each) => each.hold !== null)
        .map((each) => ({
          severity: 'warning' as const,
          title: `${each.package_name}.${each.class_key} in ${each.target_environment} waits for a confirmation`,
          detail: each.hold?.reason ?? '',
          link: `/deployments/${each.id}`,
        })),
      ...clusters
        .filter((each) => each.connection !== 'Connected')
        .map((each) => ({
          severity: 'error' as const,
          title: `${each.name} is not connected`,
          detail: each.message,
          link: `/clusters?cluster=${each.name}`,
        })),
      ...records
        .filter((each) => each.axes.health.status === 'Degraded')
        .slice(0, 4)
        .map((each) => ({
          severity: 'error' as const,
          title: `${each.package_name}.${each.class_key} in ${each.target_environment} is degraded`,
          detail: each.axes.health.message,
          link: `/deployments/${each.id}`,
        })),
      ...records
        .filter((each) => each.axes.nfr.status === 'Violated')
        .map((each) => ({
          severity: 'warning' as const,
          title: `${each.package_name}.${each.class_key} misses a requirement`,
          detail: each.axes.nfr.message,
          link: `/deployments/${each.id}`,
        })),
    ],
  };
}
