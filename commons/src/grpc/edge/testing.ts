import { testing } from '@oaas/proto';
import { createLogger } from '../../telemetry/index.ts';
import type { Client, ServiceHandlers } from '../definition.ts';
import type { Clock, Random, Timers } from '../../time/index.ts';
import type { Channel } from '../channel.ts';
import { createGrpcClient } from '../client.ts';
import { createEdgeChannel, type EdgeChannelOptions } from './channel.ts';
import { createEdgeServer, type EdgeServer, type EdgeServerOptions } from './server.ts';

/** For tests: a server of grpc.testing.TestService, and clients of it. */
export const definition: testing.TestServiceDefinition = testing.TestServiceDefinition;
export type TestHandlers = ServiceHandlers<testing.TestServiceDefinition>;

export interface TestTime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** Answers with as many zeros as are asked for. */
export const handlers: TestHandlers = {
  emptyCall: () => Promise.resolve({}),
  unaryCall: ({ responseSize }) =>
    Promise.resolve({
      payload: { type: 0, body: Buffer.alloc(responseSize) },
      username: '',
      oauthScope: '',
      serverId: '',
    }),
};

export interface TestServer {
  readonly server: EdgeServer;
  readonly port: number;
  client(options?: Partial<EdgeChannelOptions>): { client: Client<typeof definition>; channel: Channel };
  stop(): void;
}

export async function startServer(
  time: TestTime,
  own: TestHandlers = handlers,
  options: Partial<EdgeServerOptions> = {},
  port = 0,
): Promise<TestServer> {
  const logger = createLogger({ service: 'test', level: 'silent' });
  const server = createEdgeServer({ logger, ...time, ...options });
  server.add(definition, own);
  const bound = await server.listen({ host: '127.0.0.1', port });
  const channels: Channel[] = [];
  return {
    server,
    port: bound.port,
    client: (channelOptions = {}) => {
      const channel = createEdgeChannel(`127.0.0.1:${bound.port}`, { ...time, ...channelOptions });
      channels.push(channel);
      return { channel, client: createGrpcClient(definition, channel) };
    },
    stop: () => {
      for (const channel of channels) channel.close();
      server.stop();
    },
  };
}
