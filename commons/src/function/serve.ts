import { invoke } from '@oaas/proto';
import { createDataClient, createFunctionClient } from '../client/index.ts';
import { oaasError } from '../errors/index.ts';
import { createEdgeChannel, createEdgeServer } from '../grpc/edge/index.ts';
import type { Channel } from '../grpc/index.ts';
import { HealthRegistry, LifecycleGroup, runMain } from '../lifecycle/index.ts';
import { systemClock, systemRandom, systemTimers } from '../system/index.ts';
import { createLogger, type Logger, newCorrelationId } from '../telemetry/index.ts';
import type { Clock, Random, Timers } from '../time/index.ts';
import type { Grid } from './call.ts';
import { type FunctionConfig, loadFunctionConfig } from './config.ts';
import { type ClassFunction, functionHandlers } from './handlers.ts';
import { Turns } from './turns.ts';

/**
 * Serves the functions of a class, by the names of their bindings, until the program is told to stop; calls in flight
 * are finished then. This is all that the program of a function has to do.
 *
 * Reads FUNCTION_PORT (or HTTP_PORT, PORT; default 8080), ODGM_ENDPOINT, FUNCTION_MAX_CONCURRENCY, FUNCTION_LOG.
 */
export function serveClass(functions: Readonly<Record<string, ClassFunction>>): void {
  runMain((context) => {
    const config = loadFunctionConfig(context.env, context.argv);
    const logger = createLogger({ service: 'function', level: config.log });
    context.useLogger(logger);
    const dependencies = { clock: systemClock, timers: systemTimers, random: systemRandom, logger };
    return Promise.resolve(createFunctionProgram(functions, config, dependencies).group);
  });
}

export interface FunctionDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface FunctionProgram {
  readonly group: LifecycleGroup;
  /** host:port, once started. */
  address(): string;
}

/** The parts of a function's program, for those that start it in another way, such as tests. */
export function createFunctionProgram(
  functions: Readonly<Record<string, ClassFunction>>,
  config: FunctionConfig,
  dependencies: FunctionDependencies,
): FunctionProgram {
  const { clock, timers, random } = dependencies;
  const logger = dependencies.logger.child({ function_key: config.key, deployment: config.deploymentId });
  const health = new HealthRegistry({ timers });
  const serving = health.gate('readiness', 'functions', 'starting');
  const connection = gridConnection(config.endpoint, { clock, timers, random });
  const grpc = createEdgeServer({ logger, clock, timers, health, newCorrelationId: () => newCorrelationId(random) });
  grpc.add(
    invoke.OprcFunctionDefinition,
    functionHandlers({
      functions,
      maxConcurrency: config.maxConcurrency,
      environment: { grid: connection.grid, clock, timers, random, turns: new Turns(), logger },
    }),
  );
  let address = '';
  const group = new LifecycleGroup({ timers, logger })
    .add({ name: 'connection to the grid', stop: connection.close })
    .add({
      name: 'gRPC server',
      timeoutMs: config.drainTimeout + 1000,
      start: async () => {
        const { host, port } = await grpc.listen({ host: config.bindHost, port: config.port });
        address = `${host}:${String(port)}`;
        serving.pass();
        logger.info({ address, functions: Object.keys(functions) }, 'functions are served');
      },
      stop: async () => {
        serving.fail('stopping');
        await grpc.drain(config.drainTimeout);
      },
    });
  return { group, address: () => address };
}

/** Connects with the first call that needs the grid: a stateless function needs none. */
function gridConnection(
  endpoint: string | undefined,
  time: Pick<FunctionDependencies, 'clock' | 'timers' | 'random'>,
): { grid: () => Grid; close: () => void } {
  let open: { grid: Grid; channel: Channel } | undefined;
  return {
    grid: () => {
      if (endpoint === undefined) {
        throw oaasError('FailedPrecondition', 'the function was given no grid', {
          remedy: 'Set ODGM_ENDPOINT to http://host:port of an ODGM node.',
        });
      }
      if (open === undefined) {
        const channel = createEdgeChannel(endpoint, time);
        open = { channel, grid: { data: createDataClient(channel), functions: createFunctionClient(channel) } };
      }
      return open.grid;
    },
    close: () => {
      open?.channel.close();
    },
  };
}
