import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { runMain } from '@oaas/commons/lifecycle';
import { createLogger, type LogLevel, logLevels } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { accessOfPod } from './discovery/index.ts';
import { loadOdgmConfig } from './config.ts';
import { createNodeProgram } from './main-node.ts';

const version = '0.1.0';

runMain((context) => {
  const { config } = loadOdgmConfig(context.env, context.argv);
  const logger = createLogger({ service: 'odgm', level: levelOf(config.log) });
  context.useLogger(logger);
  const file = context.env['ODGM_CONFIG'];
  const configSource =
    file === undefined
      ? undefined
      : {
          file,
          read: () => readFile(file, 'utf8'),
          load: () => loadOdgmConfig(context.env, context.argv).config,
        };
  const { group } = createNodeProgram(config, {
    configSource,
    clusterAccess: () => accessOfPod(context.env),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    logger,
    version,
    hostName: hostname(),
    memoryBytes: () => process.memoryUsage.rss(),
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
  });
  return Promise.resolve(group);
});

/** The first word of `debug,h2=info`; an unknown word counts as `info`. */
function levelOf(text: string): LogLevel {
  const word = text.split(',', 1)[0]?.trim().toLowerCase() ?? '';
  const known = logLevels.find((level) => level === word);
  return known ?? 'info';
}
