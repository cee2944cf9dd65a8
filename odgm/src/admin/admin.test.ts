import { createGridAdminClient } from '@oaas/commons/client';
import { createGrpcChannel, createGrpcServer } from '@oaas/commons/grpc';
import type { AuditRecord, AuditSink } from '@oaas/commons/security';
import { createLogger, createMetrics } from '@oaas/commons/telemetry';
import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { eventually, simulatedTime, tempDir, type TempDir } from '@oaas/commons/testkit';
import { admin } from '@oaas/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../testkit/index.ts';
import { AdminAccess } from './access.ts';
import { Audit, logAuditSink } from './audit.ts';
import { Collections } from './collections.ts';
import { gridAdminService } from './grid-admin.ts';
import { DeadLetters } from './dead-letters.ts';
import { createAdminHttp } from './http.ts';
import { Tasks } from './tasks.ts';
import { VersionHolders } from './version-holders.ts';

let directory: TempDir;
let node: RunningNode;

beforeEach(async () => {
  directory = await tempDir();
  const collections = [{ name: 'c', partitionCount: 2 }];
  node = await startNode({ dataDir: directory.path, collections });
});
afterEach(async () => {
  await node.stop();
  await directory.remove();
});

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(node.admin + path)).json()) as T;
}

interface Finding {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly evidence: string;
  readonly remedy: string;
}

describe('diagnostics', () => {
  it('have the areas that the contract lists, each with findings, over HTTP and over gRPC', async () => {
    type Areas = Record<string, readonly Finding[]>;
    const report = await get<{ cluster: Areas; shards: Areas; events: Finding[] } & Areas>('/admin/diagnostics');
    expect(Object.keys(report)).toEqual(['cluster', 'shards', 'events', 'performance', 'resources', 'taken_at']);
    expect(Object.keys(report.cluster)).toEqual([
      'consensus_health',
      'network_partitions',
      'leader_stability',
      'member_health',
    ]);
    expect(Object.keys(report.shards)).toEqual([
      'distribution_balance',
      'replication_health',
      'migration_status',
      'consistency_issues',
    ]);
    const all = [...Object.values(report.cluster), ...Object.values(report.shards)];
    for (const findings of [...all, report.events, report['performance'] ?? [], report['resources'] ?? []]) {
      expect(findings.length).toBeGreaterThan(0);
      for (const finding of findings) {
        expect(Object.keys(finding).sort()).toEqual(['code', 'evidence', 'message', 'remedy', 'severity']);
      }
    }
    expect(report.shards['consistency_issues']).toMatchObject([{ code: 'consistency.unchecked' }]);
    const flat = await createGridAdminClient(node.channel).getDiagnostics({});
    expect(flat.cluster.map(({ area }) => area)).toContain('leader_stability');
    expect(flat.shards.find(({ area }) => area === 'consistency_issues')?.code).toBe('consistency.unchecked');
  });
});

describe('the metrics of the specification', () => {
  const names = [
    'odgm_cluster_nodes_total',
    'odgm_cluster_leader_elections_total',
    'odgm_raft_term',
    'odgm_raft_committed_index',
    'odgm_collection_objects_total',
    'odgm_collection_operations_total',
    'odgm_collection_operation_duration_seconds',
    'odgm_collection_size_bytes',
    'odgm_shard_distribution_balance',
    'odgm_shard_migration_duration_seconds',
    'odgm_shard_replication_lag',
    'odgm_event_triggers_total',
    'odgm_event_processing_duration_seconds',
    'odgm_event_queue_size',
    'odgm_event_processing_errors_total',
    'odgm_memory_usage_bytes',
    'odgm_cpu_usage_percent',
    'odgm_network_io_bytes_total',
    'odgm_disk_io_bytes_total',
    'odgm_function_calls_total',
    'odgm_function_call_duration_seconds',
    'odgm_function_errors_total',
    'odgm_concurrent_functions',
  ];
  const text = async (): Promise<string> => (await fetch(`${node.admin}/metrics`)).text();

  it('are all there from the start, and those of events at zero', async () => {
    const body = await text();
    for (const name of names) expect(body).toContain(`# TYPE ${name} `);
    for (const series of [
      'odgm_event_triggers_total{service="odgm"} 0',
      'odgm_event_queue_size{service="odgm"} 0',
      'odgm_event_processing_errors_total{service="odgm"} 0',
      'odgm_event_processing_duration_seconds_count{service="odgm"} 0',
      'odgm_shard_migration_duration_seconds_count{service="odgm"} 0',
      'odgm_collection_operations_total{collection="c",operation="set",result="ok",service="odgm"} 0',
    ]) {
      expect(body).toContain(series);
    }
  });

  it('move with what they count', async () => {
    type Values = Record<string, number>;
    const values = async (): Promise<Values> => (await get<{ metrics: Values }>('/admin/metrics')).metrics;
    const before = await values();
    const moving = [
      'odgm_raft_committed_index{service="odgm"}',
      'odgm_network_io_bytes_total{direction="received",service="odgm"}',
      'odgm_network_io_bytes_total{direction="sent",service="odgm"}',
      'odgm_collection_operations_total{collection="c",operation="set",result="ok",service="odgm"}',
    ];
    expect(before['odgm_raft_term{service="odgm"}']).toBeGreaterThan(0);
    expect(before['odgm_cluster_leader_elections_total{group="meta",service="odgm"}']).toBe(1);
    expect(before['odgm_cluster_leader_elections_total{group="shard",service="odgm"}']).toBe(2);
    const entries = { k: { data: Buffer.from('v') } };
    await node.data.set({ clsId: 'c', objectId: 'o', object: { entries } });
    await fetch(`${node.admin}/admin/collections/c/consistency-check`, { method: 'POST' });
    await eventually(async () => {
      const after = await values();
      for (const name of moving) expect(after[name], name).toBeGreaterThan(before[name] ?? 0);
    });
  });
});

describe('a call that changes something', () => {
  let records: AuditRecord[];
  const { clock } = simulatedTime(77);
  const sink: AuditSink = {
    record: (record) => {
      records.push(record);
      return Promise.resolve();
    },
  };
  const call = {
    ...{ subject: 'ann', action: 'task.cancel', resource: 'task/1' },
    from: { address: '10.0.0.1', via: 'grpc' },
  } as const;
  beforeEach(() => {
    records = [];
  });

  it('leaves a record of who did what, from where, and how it ended', async () => {
    const audit = new Audit(sink, clock);
    await expect(audit.around(call, () => Promise.resolve(5))).resolves.toBe(5);
    await expect(audit.around(call, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(records).toMatchObject([
      { ...call, at: 77, result: 'succeeded' },
      { ...call, at: 77, result: 'failed', reason: 'no' },
    ]);
  });

  it('fails when it cannot be recorded', async () => {
    const full = { record: () => Promise.reject(new Error('the audit is full')) };
    await expect(new Audit(full, clock).around(call, () => Promise.resolve(5))).rejects.toThrow('the audit is full');
  });

  it('is recorded in the log of a node that else logs only what is wrong', async () => {
    const lines: string[] = [];
    const logger = createLogger({
      service: 'odgm',
      level: 'error',
      destination: { write: (line) => lines.push(line) },
    });
    logger.info('no');
    await new Audit(logAuditSink(logger), clock).succeeded(call);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ audit: { subject: 'ann' } }]);
  });

  /** What both carriers of the admin API are made from. */
  const parts = () => {
    const { node: grid } = node.program;
    return {
      ...{ node: grid, metrics: createMetrics({ service: 'odgm' }), clock: systemClock, audit: new Audit(sink, clock) },
      access: new AdminAccess({ token: 'a-token-of-some-length', clock: systemClock }),
      tasks: new Tasks({ node: grid, clock: systemClock, timers: systemTimers }),
      collections: new Collections({ node: grid, clock: systemClock, timers: systemTimers }),
      versions: new VersionHolders(grid, () => expect.fail('there is no other member')),
      deadLetters: new DeadLetters({
        ...{ node: grid, clock: systemClock, clientOf: () => expect.fail('there is no other member') },
      }),
      logger: createLogger({ service: 'test', level: 'silent' }),
    };
  };

  it('of versions and branches has the same name and says the same over HTTP and over gRPC', async () => {
    const app = createAdminHttp({ ...parts(), ops: () => Promise.resolve(false) });
    const server = createGrpcServer({ logger: parts().logger });
    server.add(admin.GridAdminDefinition, gridAdminService(parts()));
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const channel = createGrpcChannel(`127.0.0.1:${String(port)}`);
    const client = createGridAdminClient(channel);
    const options = { metadata: { authorization: 'Bearer a-token-of-some-length' } };
    const of = { collection: 'c' };
    const put = { k: { data: Buffer.from('v') } };
    for (const call of [
      () => client.recordVersion({ of, label: 'l' }, options),
      () => client.labelVersion({ of, sequence: 1, label: 'l' }, options),
      () => client.createBranch({ of, branch: 'b', from: 'now' }, options),
      () => client.writeBranch({ of, branch: 'b', objectId: 'o', put }, options),
      () => client.mergeBranch({ of, branch: 'b', policy: 'ours' }, options),
      () => client.deleteBranch({ of, branch: 'b' }, options),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'FailedPrecondition' });
    }
    const said = (): unknown[] =>
      records
        .splice(0)
        .map(({ action, resource, diff }) => [action, resource, ...Object.entries(diff ?? {}).map(String)]);
    const overGrpc = said();
    const base = '/admin/collections/c';
    for (const [method, url, payload] of [
      ['POST', `${base}/versions/record?label=l`],
      ['POST', `${base}/versions/label?sequence=1&label=l`],
      ['POST', `${base}/branches/b?from=now`],
      ['POST', `${base}/branches/b/objects/o`, { put: { k: { data: 'dg==' } } }],
      ['POST', `${base}/branches/b/merge?policy=ours`],
      ['DELETE', `${base}/branches/b`],
    ] as const) {
      const headers = { authorization: 'Bearer a-token-of-some-length' };
      expect((await app.inject({ method, url, headers, ...(payload && { payload }) })).statusCode).toBe(409);
    }
    expect(overGrpc.map(String)).toContain('branch.write,collection/c,branch,b,objectId,o');
    expect(said()).toEqual(overGrpc);
    channel.close();
    server.stop();
    await app.close();
  });

  it('is called the same over HTTP and over gRPC, whichever path it has', async () => {
    const authorization = 'Bearer a-token-of-some-length';
    const app = createAdminHttp({ ...parts(), ops: () => Promise.resolve(false) });
    const server = createGrpcServer({ logger: parts().logger });
    server.add(admin.GridAdminDefinition, gridAdminService(parts()));
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const channel = createGrpcChannel(`127.0.0.1:${String(port)}`);
    const client = createGridAdminClient(channel);
    const options = { metadata: { authorization } };
    // What is named is not there: all of them fail, and none without a record.
    const [collection, member, taskId, ids] = ['none', 'nobody', '99', ['1-1-1-1-1']];
    const deadLetters = { collection: 'none' };
    for (const [method, path, call] of [
      ['POST', 'collections/none/rebalance', () => client.startTask({ kind: 'rebalance', collection }, options)],
      ['POST', 'rebalance?plan_id=x', () => client.startTask({ kind: 'rebalance', planId: 'x' }, options)],
      [
        'POST',
        'collections/none/consistency-check',
        () => client.startTask({ kind: 'consistency-check', collection }, options),
      ],
      ['POST', 'members/nobody/drain', () => client.startTask({ kind: 'drain', member }, options)],
      ['POST', 'members/nobody/repair', () => client.startTask({ kind: 'repair', member }, options)],
      ['POST', 'tasks?kind=repair&member=nobody', () => client.startTask({ kind: 'repair', member }, options)],
      ['POST', 'tasks/99/cancel', () => client.cancelTask({ taskId }, options)],
      ['POST', 'tasks/99/throttle?checks=1', () => client.updateTask({ taskId, options: { checks: '1' } }, options)],
      ['DELETE', 'collections/none', () => client.deleteCollection({ name: collection }, options)],
      ['PUT', 'collections/No', () => client.createCollection({ name: '!', shardType: 'x' }, options)],
      ['POST', 'dead-letters/replay?collection=none', () => client.replayDeadLetters(deadLetters, options)],
      ['POST', 'dead-letters/purge?collection=none', () => client.purgeDeadLetters(deadLetters, options)],
      ['POST', 'dead-letters/1-1-1-1-1/replay', () => client.replayDeadLetters({ ids }, options)],
      ['POST', 'dead-letters/1-1-1-1-1/purge', () => client.purgeDeadLetters({ ids }, options)],
    ] as const) {
      const name = `${method} /admin/${path}`;
      records = [];
      await app.inject({ method, url: `/admin/${path}`, headers: { authorization } });
      await call().catch(() => undefined);
      expect(
        records.map(({ from }) => from.via),
        name,
      ).toEqual(['rest', 'grpc']);
      expect(records[0]?.action, name).toBe(records[1]?.action);
    }
    channel.close();
    server.stop();
    await app.close();
  });

  it('is recorded over HTTP as well: done, failed and refused; what only looks is not', async () => {
    const app = createAdminHttp({ ...parts(), ops: () => Promise.resolve(false) });
    const authorization = 'Bearer a-token-of-some-length';
    const ask = async (
      method: 'GET' | 'POST' | 'DELETE' | 'PUT',
      url: string,
      headers: Record<string, string> = { authorization },
    ) => (await app.inject({ method, url, headers })).statusCode;
    expect(await ask('GET', '/admin/tasks')).toBe(200);
    expect(await ask('POST', '/admin/collections/c/rebalance?dry_run=true')).toBe(200);
    const actor = { authorization, 'x-oaas-actor': 'ann' };
    expect(await ask('POST', '/admin/collections/c/consistency-check?mode=deep', actor)).toBe(200);
    expect(await ask('POST', '/admin/tasks/99/cancel')).toBe(404);
    expect(await ask('POST', '/admin/members/n1/drain', {})).toBe(401);
    expect(await ask('POST', '/admin/nothing')).toBe(404);
    expect(await ask('DELETE', '/admin/collections/c?dry_run=true')).toBe(200);
    expect(await ask('DELETE', '/admin/collections/c', actor)).toBe(200);
    expect(await ask('DELETE', '/admin/collections/c')).toBe(404);
    expect(await ask('PUT', '/admin/collections/c', actor)).toBe(201);
    expect(await ask('POST', '/admin/tasks?kind=rebalance', actor)).toBe(200);
    expect(await ask('POST', '/admin/tasks?kind=shuffle&dry_run=true')).toBe(400);
    expect(records).toMatchObject([
      {
        subject: 'ann',
        action: 'task.start.consistency-check',
        resource: 'collection/c',
        result: 'succeeded',
        diff: { mode: 'deep' },
      },
      {
        subject: 'admin',
        action: 'task.cancel',
        resource: 'task/99',
        result: 'failed',
        reason: 'there is no task "99"',
      },
      { subject: 'anonymous', action: 'task.start.drain', resource: 'member/n1', result: 'denied' },
      { action: 'unknown', resource: '/admin/nothing', result: 'failed' },
      { subject: 'ann', action: 'collection.delete', resource: 'collection/c', result: 'succeeded' },
      { action: 'collection.delete', resource: 'collection/c', result: 'failed' },
      { subject: 'ann', action: 'collection.create', resource: 'collection/c', result: 'succeeded' },
      { subject: 'ann', action: 'task.start.rebalance', result: 'succeeded' },
    ]);
    expect(records[0]?.from).toEqual({ address: '127.0.0.1', via: 'rest' });
    await app.close();
  });
});

describe('with a token', () => {
  const token = 'a-token-of-some-length';
  let guarded: RunningNode;
  beforeEach(async () => {
    guarded = await startNode({
      ...{ id: 'n2', dataDir: `${directory.path}/guarded`, collections: [{ name: 'c' }] },
      env: { ODGM_ADMIN_TOKEN: token },
    });
  });
  afterEach(() => guarded.stop());

  it('no method of GridAdmin answers a caller without it, be it one that reads, changes or watches', async () => {
    const client = createGridAdminClient(guarded.channel);
    const watch = async (options: object) => {
      for await (const task of client.watchTask({ taskId: '1' }, options)) return task;
      return undefined;
    };
    const calls = (options: object): Promise<unknown>[] => [
      client.getClusterStatus({}, options),
      client.listMembers({}, options),
      client.listCollections({}, options),
      client.getCollection({ name: 'c' }, options),
      client.getShardDistribution({}, options),
      client.planTask({ kind: 'rebalance' }, options),
      client.startTask({ kind: 'consistency-check', collection: 'c' }, options),
      client.getTask({ taskId: '1' }, options),
      client.listTasks({}, options),
      watch(options),
      client.getDiagnostics({}, options),
      client.getMetricsSnapshot({}, options),
      client.deleteCollection({ name: 'c', dryRun: true }, options),
    ];
    const changing = (options: object) => [
      client.updateTask({ taskId: '1', options: { checks: '1' } }, options),
      client.cancelTask({ taskId: '1' }, options),
      client.createCollection({ name: 'd' }, options),
      client.deleteCollection({ name: 'c' }, options),
    ];
    const wrong = { metadata: { authorization: 'Bearer another-token-of-some-length' } };
    for (const options of [{}, wrong]) {
      const ended = await Promise.allSettled([...calls(options), ...changing(options)]);
      for (const one of ended) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'Unauthenticated' } });
    }
    const right = { metadata: { authorization: `Bearer ${token}` } };
    await client.startTask({ kind: 'consistency-check' }, right);
    for (const one of await Promise.allSettled(calls(right))) expect(one.status).toBe('fulfilled');
  });

  it('no spelling of a path gets by it', async () => {
    for (const path of ['/admin/tasks', '/%61dmin/tasks', '//admin/tasks', '/admin/nothing']) {
      expect((await fetch(guarded.admin + path)).status, path).toBe(401);
    }
  });
});

describe('what cannot be meant is refused with the field and the remedy', () => {
  const problemOf = async (method: 'GET' | 'POST' | 'DELETE' | 'PUT', path: string, init: RequestInit = {}) => {
    const response = await fetch(`${node.admin}/admin/${path}`, { method, ...init });
    const { code, detail, remedy } = (await response.json()) as Record<string, string>;
    return { status: response.status, code, text: `${detail ?? ''} ${remedy ?? ''}` };
  };
  it.each([
    ['GET', 'tasks?limit=abc', 'limit', '0 to 200'],
    ['GET', 'tasks?limit=-1', 'limit', '0 to 200'],
    ['GET', 'tasks?limit=', 'limit', '0 to 200'],
    ['GET', 'tasks?cursor=zz', 'cursor', 'next_cursor'],
    ['GET', 'tasks?state=running', 'state', 'limit, cursor'],
    ['GET', 'shards/distribution?collektion=c', 'collektion', 'collection'],
    ['POST', 'collections/c/rebalance?dry_run=yes', 'dry_run', 'true or false'],
    ['POST', 'collections/c/rebalance?dry_run=true&dry_run=true', 'dry_run', 'once'],
    ['POST', 'collections/c/rebalance?movesPerNod=1', 'movesPerNod', 'movesPerNode'],
    ['POST', 'collections/c/rebalance?movesPerNode=1.5', 'movesPerNode', 'whole number'],
    ['POST', 'collections/c/rebalance?bytesPerSecond=0', 'bytesPerSecond', 'at least 1'],
    ['POST', 'collections/c/rebalance?collection=d', 'collection', 'Use one of'],
    ['POST', 'collections/c/consistency-check?mode=quick', 'mode', 'fast or deep'],
    ['POST', 'members/n1/repair?collection=c&partition=2', 'partition', '0 to 1'],
    ['POST', 'members/n1/repair?collection=c&partition=', 'partition', '0 to 1'],
    ['POST', 'members/n1/repair?partition=0', 'partition', 'collection'],
    ['DELETE', 'collections/c?dryrun=true', 'dryrun', 'dry_run'],
    ['POST', 'tasks/1/cancel?dry_run=true', 'dry_run', 'Leave it out'],
    ['DELETE', 'collections/c?dry_run=1', 'dry_run', 'true or false'],
    ['PUT', 'collections/d?partition_count=2', 'partition_count', 'Leave it out'],
  ] as const)('%s %s', async (method, path, field, remedy) => {
    const problem = await problemOf(method, path);
    expect(problem).toMatchObject({ status: 400, code: 'InvalidArgument' });
    expect(problem.text).toContain(field);
    expect(problem.text).toContain(remedy);
    // Nothing was begun.
    expect(await get('/admin/tasks')).toEqual({ tasks: [], next_cursor: '' });
  });

  it('a body where options belong into the query', async () => {
    const body = JSON.stringify({ dry_run: true });
    const headers = { 'content-type': 'application/json' };
    const problem = await problemOf('POST', 'collections/c/rebalance', { body, headers });
    expect(problem).toMatchObject({ status: 400, code: 'InvalidArgument' });
    expect(problem.text).toContain('query parameters');
    const empty = await fetch(`${node.admin}/admin/collections/c/rebalance?dry_run=true`, {
      ...{ method: 'POST', body: '{}', headers },
    });
    expect(empty.status).toBe(200);
  });

  it('over gRPC', async () => {
    const client = createGridAdminClient(node.channel);
    const refused = { code: 'InvalidArgument' };
    await expect(client.getCollection({})).rejects.toMatchObject(refused);
    await expect(client.getTask({})).rejects.toMatchObject(refused);
    await expect(client.getTask({ taskId: '0x1' })).rejects.toMatchObject({ code: 'NotFound' });
    await expect(client.listTasks({ cursor: '-' })).rejects.toMatchObject(refused);
    await expect(client.planTask({ kind: 'drain' })).rejects.toMatchObject(refused);
    await expect(client.planTask({ kind: 'consistency-check', member: 'n1' })).rejects.toMatchObject(refused);
    await client.startTask({ kind: 'consistency-check' });
    await expect(client.updateTask({ taskId: '1' })).rejects.toMatchObject(refused);
    await expect(client.updateTask({ taskId: '1', options: { mode: 'deep' } })).rejects.toMatchObject(refused);
  });
});

it('tasks are listed page by page, the newest first, and end with the first', async () => {
  const client = createGridAdminClient(node.channel);
  for (let i = 0; i < 5; i++) {
    const { id } = await client.startTask({ kind: 'consistency-check' });
    await eventually(async () => {
      expect((await client.getTask({ taskId: id })).state).toBe('succeeded');
    });
  }
  const pages: string[][] = [];
  let cursor = '';
  do {
    const { tasks, nextCursor } = await client.listTasks({ limit: 2, cursor });
    pages.push(tasks.map(({ id }) => id));
    cursor = nextCursor;
  } while (cursor !== '');
  expect(pages).toEqual([['5', '4'], ['3', '2'], ['1']]);
});
