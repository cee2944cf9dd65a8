import { audit, authenticate, createGrpcServer, type GrpcServer } from '@oaas/commons/grpc';
import type { HealthRegistry } from '@oaas/commons/lifecycle';
import type { AuditSink } from '@oaas/commons/security';
import { type Logger, type Metrics, newCorrelationId } from '@oaas/commons/telemetry';
import type { Clock, Random } from '@oaas/commons/time';
import { packages } from '@oaas/proto';
import { type Access, anonymousSubject, type AuthOptions, subjectOfToken } from '../access.ts';
import type { PackageManager } from '../shell/manager.ts';
import { accessOf, packageService } from './package-service.ts';

export interface PackageServerOptions {
  readonly pm: PackageManager;
  readonly auth: AuthOptions;
  readonly health: HealthRegistry;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** PM's gRPC services, with health and reflection. The same tokens and roles as of the REST API. */
export function createPackageServer(options: PackageServerOptions): GrpcServer {
  const { pm, auth, health, metrics, logger, clock, random } = options;
  const server = createGrpcServer({
    logger,
    metrics,
    health,
    reflection: true,
    newCorrelationId: () => newCorrelationId(random),
    interceptors: [
      audit({ sink: auditSink(pm, auth), clock, actionOf }),
      authenticate(({ token }) => {
        if (token !== undefined) return subjectOfToken(token, auth);
        return auth.anonymousRole === undefined ? undefined : anonymousSubject(auth.anonymousRole);
      }),
    ],
  });
  server.add(packages.PackageServiceDefinition, packageService(pm));
  return server;
}

/** `/oaas.package.PackageService/CreatePackage` to `package.create`. */
function actionOf(method: string): string | undefined {
  const table: Readonly<Record<string, Access>> = accessOf;
  return table[method.slice(method.lastIndexOf('/') + 1)]?.audit;
}

/** The audit that the REST API writes too. */
function auditSink(pm: PackageManager, { tokens, anonymousRole }: AuthOptions): AuditSink {
  return {
    record: ({ subject, action, resource, result, reason, from }) =>
      pm.audit.record({
        actor: subject,
        role: tokens.find(({ name }) => name === subject)?.role ?? anonymousRole ?? '',
        action,
        resource,
        remote_address: from.address,
        result,
        detail: reason === undefined ? 'gRPC' : `gRPC: ${reason}`,
      }),
  };
}
