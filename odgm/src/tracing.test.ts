import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGrpcServer } from '@oaas/commons/grpc';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { invoke } from '@oaas/proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type RunningNode, startNode } from '../testkit/index.ts';

/** Real nodes that send their spans to a real endpoint, by OTLP. */
let directory: TempDir;
let collector: Collector;
const running: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await tempDir();
  collector = await startCollector();
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await collector.stop();
  await directory.remove();
});

interface SeenSpan {
  readonly node: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: Readonly<Record<string, string | number>>;
}

interface Collector {
  readonly endpoint: string;
  readonly spans: SeenSpan[];
  stop(): Promise<void>;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string | number };
}

interface WireSpan extends Omit<SeenSpan, 'node' | 'attributes'> {
  readonly attributes: readonly Attribute[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

function attributesOf(attributes: readonly Attribute[]): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)] as const),
  );
}

async function startCollector(): Promise<Collector> {
  const spans: SeenSpan[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export;
      for (const { resource, scopeSpans } of resourceSpans) {
        const { 'service.instance.id': instance, 'service.name': service } = attributesOf(resource.attributes);
        expect(service).toBe('odgm');
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
          spans.push({ ...span, node: String(instance), attributes: attributesOf(span.attributes) });
        }
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${String(port)}/v1/traces`,
    spans,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function startMembers(ids: readonly string[], collections: readonly object[]): Promise<RunningNode[]> {
  const ports = await freePorts(ids.length);
  const members = ids.map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
  const env = { ODGM_TRACES_ENDPOINT: collector.endpoint, ODGM_TRACES_INTERVAL: '50ms' };
  const nodes = await Promise.all(
    ids.map((id, i) =>
      startNode({ id, members, collections, dataDir: `${directory.path}/${id}`, grpcPort: ports[i] ?? 0, env }),
    ),
  );
  running.push(...nodes);
  return nodes;
}

const caller = '00f067aa0ba902b7';
/** Metadata of a caller that has a span of its own; the last digit says whether it is recorded. */
const within = (traceId: string, flags = '01') => ({
  metadata: { traceparent: `00-${traceId}-${caller}-${flags}` },
});
const traced = (traceId: string): SeenSpan[] => collector.spans.filter((span) => span.traceId === traceId);
const named = (spans: readonly SeenSpan[], name: string): SeenSpan[] => spans.filter((span) => span.name === name);
const object = { entries: { k: { data: Buffer.from('v') } } };
const [first, second, third, fourth] = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(32)) as [
  string,
  string,
  string,
  string,
];

describe('three nodes', () => {
  it('record a call below that of its caller, over the hop to another node, down to the steps of the log', async () => {
    const nodes = await startMembers(['n1', 'n2', 'n3'], [{ name: 'c', shardType: 'raft', replicaCount: 3 }]);
    const { node } = nodes[0]!.program;
    const id = node.collection('c').shardId(0) ?? 0;
    await eventually(() => node.leaderOf(id) !== 0);
    const leader = node.meta?.state.members.get(node.leaderOf(id))?.id;
    const other = nodes.find((one) => one.id !== leader)!;
    await other.data.set({ clsId: 'c', objectId: 'o', object }, within(first));
    await eventually(() => named(traced(first), 'odgm.raft.apply').length > 0 && traced(first).length === 5);
    const calls = named(traced(first), 'odgm.collection.set');
    const asked = calls.find((span) => span.node === other.id);
    const served = calls.find((span) => span.node === leader);
    expect(asked).toMatchObject({
      parentSpanId: caller,
      attributes: { 'collection.name': 'c', 'operation.type': 'set', 'grid.served_by': leader },
    });
    expect(served?.parentSpanId).toBe(asked?.spanId);
    const steps = ['propose', 'commit', 'apply'].map((step) => named(traced(first), `odgm.raft.${step}`)[0]);
    for (const step of steps) {
      expect(step).toMatchObject({ node: leader, parentSpanId: served?.spanId });
      expect(step?.attributes).toMatchObject({ 'raft.group': id, 'raft.index': steps[0]?.attributes['raft.index'] });
      expect(step?.attributes['raft.index']).toBeGreaterThan(0);
      expect(step?.attributes['raft.term']).toBeGreaterThan(0);
    }

    await other.data.getValue({ clsId: 'c', objectId: 'o', key: 'k' }, within(second));
    for await (const { key } of other.data.listValues({ clsId: 'c', objectId: 'o' }, within(second))) {
      expect(key).toBe('k');
    }
    await expect(other.data.get({ clsId: 'c', objectId: 'none' }, within(second))).rejects.toMatchObject({
      code: 'NotFound',
    });
    await eventually(() => named(traced(second), 'odgm.raft.read_index').length === 3);
    await eventually(() => named(traced(second), 'odgm.collection.list_values').length === 2);
    const [read] = named(traced(second), 'odgm.raft.read_index');
    const parents = traced(second).filter((span) => span.node === leader && span.name.startsWith('odgm.collection'));
    expect(parents.map(({ spanId }) => spanId)).toContain(read?.parentSpanId);
    await eventually(() => named(traced(second), 'odgm.collection.get').length === 2);
    for (const span of named(traced(second), 'odgm.collection.get')) {
      expect(span.attributes['error.type']).toBe('NotFound');
    }

    // What the caller does not record, nobody does.
    await other.data.set({ clsId: 'c', objectId: 'o', object }, within(third, '00'));
    await other.data.set({ clsId: 'c', objectId: 'o', object }, within(fourth));
    await eventually(() => traced(fourth).length === 5);
    expect(traced(third)).toEqual([]);
  });

  it('record what groups do by themselves: elections, changes of members, snapshots and leaderships that move', async () => {
    const [first] = await startMembers(['n1', 'n2', 'n3'], [{ name: 'c', shardType: 'raft', replicaCount: 3 }]);
    const meta = first!.program.node.meta;
    await eventually(() => meta?.group.status().confState.voters.length === 3);
    for (const name of ['election', 'membership_change', 'snapshot_send', 'snapshot_receive']) {
      await eventually(() => named(collector.spans, `odgm.raft.${name}`).length > 0);
    }
    expect(named(collector.spans, 'odgm.raft.election')[0]?.attributes['raft.leader']).toBeGreaterThan(0);
    const [sent] = named(collector.spans, 'odgm.raft.snapshot_send');
    const [received] = named(collector.spans, 'odgm.raft.snapshot_receive');
    expect(sent?.node).not.toBe(received?.node);
    expect(sent?.attributes).toMatchObject({ 'raft.index': received?.attributes['raft.index'] });
    expect(sent?.attributes['raft.bytes']).toBeGreaterThan(0);
    // One that has not applied the last change of the members yet does not campaign.
    const to = await eventually(async () => {
      const next = meta?.group.bestSuccessor() ?? 0;
      await meta?.group.transferLeadership(next);
      return next;
    });
    await eventually(() => named(collector.spans, 'odgm.raft.transfer_leadership').length > 0);
    expect(named(collector.spans, 'odgm.raft.transfer_leadership').at(-1)?.attributes['raft.member']).toBe(to);
  });
});

it.each([true, false])(
  'a function is called within the trace of its caller, with spans of the grid: %s',
  async (isOn) => {
    const parents: (string | undefined)[] = [];
    const server = createGrpcServer({ logger: createLogger({ service: 'function', level: 'silent' }) });
    server.add(invoke.OprcFunctionDefinition, {
      invokeFn: (_request, context) => {
        parents.push(context.metadata.get('traceparent'));
        const status = invoke.ResponseStatus.OKAY;
        return Promise.resolve({ payload: Buffer.alloc(0), status, headers: {}, invocationId: '1' });
      },
    });
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    running.push({ stop: () => server.drain(1000) });
    const fnRoutes = { f: { url: `http://127.0.0.1:${String(port)}`, stateless: true } };
    const collections = [{ name: 'c', invocations: { fnRoutes } }];
    const node = isOn
      ? (await startMembers(['n1'], collections))[0]!
      : await startNode({ dataDir: directory.path, collections });
    if (!isOn) running.push(node);
    await node.functions.invokeFn({ clsId: 'c', fnId: 'f' }, within(first));
    if (!isOn) {
      expect(parents).toEqual([within(first).metadata.traceparent]);
      expect(collector.spans).toEqual([]);
      return;
    }
    await eventually(() => traced(first).length > 0);
    const [span] = named(traced(first), 'odgm.function.invoke_fn');
    expect(span).toMatchObject({ parentSpanId: caller, attributes: { 'collection.name': 'c', 'function.name': 'f' } });
    expect(parents).toEqual([`00-${first}-${span?.spanId ?? ''}-01`]);
  },
);
