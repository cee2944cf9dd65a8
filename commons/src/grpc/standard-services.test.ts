import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { data, grpcHealth, reflection, reflectionAlpha } from '@oaas/proto';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../testkit/index.ts';
import { HealthRegistry } from '../lifecycle/index.ts';
import { systemClock, systemTimers } from '../system/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { createEdgeServer } from './edge/index.ts';
import { createGrpcChannel, createGrpcClient, createGrpcServer, type GrpcServerOptions } from './index.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const servers = {
  'grpc-js': (options: GrpcServerOptions) => createGrpcServer(options),
  edge: (options: GrpcServerOptions) => createEdgeServer({ ...options, clock: systemClock, timers: systemTimers }),
};
type Carrier = keyof typeof servers;
const carriers = ['grpc-js', 'edge'] as const satisfies readonly Carrier[];

async function start(carrier: Carrier) {
  const health = new HealthRegistry({ timers: systemTimers });
  const server = servers[carrier]({
    logger: createLogger({ service: 'test', level: 'silent' }),
    health,
    reflection: true,
    interceptors: [() => Promise.reject(new Error('probes are not authenticated'))],
  });
  server.add(data.DataServiceDefinition, {});
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const channel = createGrpcChannel(`127.0.0.1:${String(port)}`);
  ends.push(
    () => {
      channel.close();
    },
    () => {
      server.stop();
    },
  );
  return { health, server, port, channel };
}

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = grpcHealth.HealthCheckResponse_ServingStatus;

describe.each(carriers)('the health service over %s', (carrier) => {
  it('serves while the program is ready, under its own name and that of each service', async () => {
    const { health, channel } = await start(carrier);
    const client = createGrpcClient(grpcHealth.HealthDefinition, channel);
    expect(await client.check({})).toEqual({ status: SERVING });
    const gate = health.gate('readiness', 'store', 'opens');
    expect(await client.check({ service: 'oprc.DataService' })).toEqual({ status: NOT_SERVING });
    gate.pass();
    expect(await client.check({ service: 'oprc.DataService' })).toEqual({ status: SERVING });
    await expect(client.check({ service: 'unknown' })).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('tells a watcher the state and each change', async () => {
    const { health, channel } = await start(carrier);
    const gate = health.gate('readiness', 'store', 'opens');
    const abort = new AbortController();
    const seen: number[] = [];
    const watching = (async () => {
      const client = createGrpcClient(grpcHealth.HealthDefinition, channel);
      for await (const { status } of client.watch({}, { signal: abort.signal })) seen.push(status);
    })().catch(() => undefined);
    await eventually(() => {
      expect(seen).toEqual([NOT_SERVING]);
    });
    gate.pass();
    await eventually(() => {
      expect(seen).toEqual([NOT_SERVING, SERVING]);
    });
    abort.abort();
    await watching;
  });

  it('tells a watcher of an unknown service so, and keeps the stream open', async () => {
    const { channel } = await start(carrier);
    const client = createGrpcClient(grpcHealth.HealthDefinition, channel);
    const stream = client.watch({ service: 'unknown' })[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ status: SERVICE_UNKNOWN });
    await stream.return?.();
  });
});

const v1 = reflection.ServerReflectionDefinition;
const v1alpha = reflectionAlpha.ServerReflectionDefinition as unknown as typeof v1;

describe.each([
  ['v1', 'grpc-js', v1],
  ['v1', 'edge', v1],
  ['v1alpha', 'grpc-js', v1alpha],
  ['v1alpha', 'edge', v1alpha],
] as const)('reflection %s over %s', (_, carrier, definition) => {
  async function ask(...requests: Partial<reflection.ServerReflectionRequest>[]) {
    const { channel } = await start(carrier);
    async function* stream() {
      await Promise.resolve();
      yield* requests;
    }
    const responses: reflection.ServerReflectionResponse[] = [];
    for await (const response of createGrpcClient(definition, channel).serverReflectionInfo(stream())) {
      responses.push(response);
    }
    return responses;
  }

  it('lists the services', async () => {
    const [response] = await ask({ listServices: '*' });
    expect(response?.listServicesResponse?.service.map(({ name }) => name)).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'oprc.DataService',
    ]);
  });

  it('gives the file of a symbol of any kind, with what it imports', async () => {
    const symbols = [
      'oprc.DataService',
      'oprc.DataService.Get',
      'oprc.ObjData',
      'oprc.ObjData.metadata',
      'oprc.ValType',
    ];
    const responses = await ask(...symbols.map((fileContainingSymbol) => ({ fileContainingSymbol })));
    const files = responses.map(({ fileDescriptorResponse }) =>
      fileDescriptorResponse?.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name),
    );
    expect(files).toEqual(symbols.map(() => ['oprc/data.proto']));
    const [unit] = await ask({ fileByFilename: 'oaas/deployment_types.proto' });
    const names = unit?.fileDescriptorResponse?.fileDescriptorProto.map(
      (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
    );
    expect(names).toEqual(['oaas/deployment_types.proto', 'oaas/common.proto']);
  });

  it('says what it does not have, and goes on', async () => {
    const responses = await ask(
      { fileContainingSymbol: 'no.Such' },
      { fileByFilename: 'no.proto' },
      {},
      { listServices: '' },
    );
    expect(responses.map((response) => response.errorResponse?.errorCode)).toEqual([5, 5, 3, undefined]);
  });
});

function isOnPath(program: string): boolean {
  try {
    execFileSync(program, ['-version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const hasGrpcurl = isOnPath('grpcurl');

const grpcurlNote = hasGrpcurl ? '' : ' (skipped: it is not on PATH)';

describe.skipIf(!hasGrpcurl).each(carriers)(`grpcurl and a server of %s${grpcurlNote}`, (carrier) => {
  const grpcurl = async (port: number, ...args: string[]): Promise<string> =>
    (
      await promisify(execFile)('grpcurl', [
        '-plaintext',
        ...args.slice(0, -1),
        `127.0.0.1:${String(port)}`,
        ...args.slice(-1),
      ])
    ).stdout;

  it('lists, describes and calls by reflection', async () => {
    const { port } = await start(carrier);
    expect(await grpcurl(port, 'list')).toContain('oprc.DataService');
    const described = await promisify(execFile)('grpcurl', [
      '-plaintext',
      `127.0.0.1:${String(port)}`,
      'describe',
      'oprc.ObjData',
    ]);
    expect(described.stdout).toContain('map<string, .oprc.ValData> entries = 4;');
    expect(JSON.parse(await grpcurl(port, 'grpc.health.v1.Health/Check'))).toEqual({ status: 'SERVING' });
  });
});
