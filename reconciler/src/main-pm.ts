import { join } from 'node:path';
import { LifecycleGroup, HealthRegistry, runMain } from '@oaas/commons/lifecycle';
import { oaasError } from '@oaas/commons/errors';
import { createLogger, createMetrics, startOpsServer } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { createPackageServer, createRestServer, loadPmConfig, PackageManager } from './pm/index.ts';
import { createMemoryStore, openEmbeddedStore } from './store/index.ts';

const version = '0.1.0';
/** Calls that are under way when PM stops have this long. */
const grpcDrainMs = 2000;

runMain(async (context) => {
  const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
  const config = loadPmConfig({ env: context.env, argv: context.argv, random: systemRandom });
  const logger = createLogger({ service: 'pm', level: config.log, pretty: config.logPretty });
  context.useLogger(logger);
  const metrics = createMetrics({ service: 'pm', processMetrics: true });
  const health = new HealthRegistry({ timers: systemTimers });
  const ready = health.gate('readiness', 'started', 'PM is starting');

  const store =
    config.storageType === 'memory' ? createMemoryStore() : openEmbeddedStore({ file: join(config.dataDir, 'pm.db') });
  const cacheDir = join(config.dataDir, 'repositories');
  const pm = await PackageManager.create({ store, clusters: config.clusters, cacheDir, metrics, logger, ...time });
  const auth = { tokens: config.tokens, anonymousRole: config.anonymousRole };
  const rest = await createRestServer({ pm, auth, health, logger, version, ...time });
  const grpc = createPackageServer({ pm, auth, health, metrics, logger, ...time });
  const status = () => ({
    version,
    packages: pm.state.packageCount,
    clusters: [...pm.agents.values()].map((agent) => ({
      name: agent.name,
      connection: agent.connection,
      queue: agent.queueDepth,
    })),
  });
  let ops: Awaited<ReturnType<typeof startOpsServer>> | undefined;

  return new LifecycleGroup({ timers: systemTimers, logger })
    .add({ name: 'store', stop: () => store.close() })
    .add({
      name: 'ops server',
      start: async () => {
        ops = await startOpsServer({ host: config.host, port: config.opsPort, health, metrics, status, logger });
      },
      stop: () => ops?.stop(),
    })
    .add({
      name: 'package manager',
      start: async () => {
        pm.start();
        await pm.putConfigured(config.sources);
      },
      stop: () => pm.stop(),
    })
    .add({
      name: 'gRPC services',
      start: async () => {
        const { port } = await grpc.listen({ host: config.host, port: config.grpcPort });
        logger.info({ port }, 'the gRPC services listen');
      },
      stop: () => grpc.drain(grpcDrainMs),
    })
    .add({
      name: 'REST API',
      start: async () => {
        const address = await rest.listen({ host: config.host, port: config.port }).catch((error: unknown) => {
          if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
          throw oaasError('PortInUse', `${config.host}:${String(config.port)} is taken`, {
            remedy: 'Set OPRC_PM_PORT to a free port.',
            cause: error,
          });
        });
        ready.pass();
        logger.info({ address, clusters: config.clusters.map((each) => each.name) }, 'the Package Manager listens');
      },
      stop: async () => {
        ready.fail('PM is stopping');
        await rest.close();
      },
    });
});
