/** Composition root of the Class Runtime Manager. */
import { hostname } from 'node:os';
import { runMain } from '@oaas/commons/lifecycle';
import { loadTls } from '@oaas/commons/security';
import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { createCrmProgram, loadCrmConfig } from './crm/index.ts';
import { createKubernetesClient } from './kubernetes/index.ts';

const version = '0.1.0';

runMain(async (context) => {
  const { config } = loadCrmConfig(context.env, context.argv);
  const logger = createLogger({ service: 'crm', level: config.log });
  context.useLogger(logger);
  const { certFile, keyFile, caFile, mtls } = config.security;
  const tls =
    certFile === undefined || keyFile === undefined
      ? undefined
      : await loadTls({ certFile, keyFile, ...(mtls && caFile !== undefined ? { caFile } : {}) });
  const api = createKubernetesClient({
    kubeconfig: config.kubeconfig,
    context: config.context,
    clock: systemClock,
    timers: systemTimers,
    userAgent: `oaas-crm/${version}`,
  });
  const { group } = createCrmProgram(config, {
    api,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger,
    version,
    hostName: hostname(),
    tls,
    onFatal: (reason) => {
      context.shutdown(reason, 1);
    },
  });
  return group;
});
