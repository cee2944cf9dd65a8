import { grpcHealth } from '@oaas/proto';
import { oaasError } from '../errors/index.ts';
import type { HealthRegistry } from '../lifecycle/index.ts';
import type { ServiceHandlers } from './definition.ts';

export const healthDefinition = grpcHealth.HealthDefinition;

const ServingStatus = grpcHealth.HealthCheckResponse_ServingStatus;

/** Time between two looks at the checks of a watched service, in milliseconds. */
const watchIntervalMs = 1000;

/**
 * grpc.health.v1 (grpc/grpc, doc/health-checking.md) by the readiness checks. The empty name and the names of all services
 * of the server have the program's state; another name is NOT_FOUND for Check and SERVICE_UNKNOWN for Watch.
 */
export function healthHandlers(
  registry: HealthRegistry,
  services: () => readonly string[],
): ServiceHandlers<typeof healthDefinition> {
  const isKnown = (service: string): boolean => service === '' || services().includes(service);
  const status = async () =>
    (await registry.report('readiness')).ok ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  return {
    async check({ service }) {
      if (!isKnown(service)) throw oaasError('NotFound', `there is no service "${service}" here`);
      return { status: await status() };
    },
    async *watch({ service }, { signal }) {
      if (!isKnown(service)) {
        yield { status: ServingStatus.SERVICE_UNKNOWN };
        await aborted(signal);
        return;
      }
      for await (const report of registry.watch('readiness', { intervalMs: watchIntervalMs, signal })) {
        yield { status: report.ok ? ServingStatus.SERVING : ServingStatus.NOT_SERVING };
      }
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener(
      'abort',
      () => {
        resolve();
      },
      { once: true },
    );
  });
}
