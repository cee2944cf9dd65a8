import { z } from 'zod';
import { duration, type LoadedConfig, loadConfig } from '../config/index.ts';
import { logLevels } from '../telemetry/index.ts';

const schema = z.object({
  port: z.number().int().min(0).max(65_535).default(8080).describe('Port of oprc.OprcFunction.'),
  bindHost: z.string().default('0.0.0.0').describe('Address to listen on.'),
  endpoint: z.string().optional().describe('The grid: http://host:port. Needed by functions that use objects.'),
  key: z.string().default('').describe('Key of the function in its package.'),
  deploymentId: z.string().default('').describe('Deployment that this program belongs to.'),
  environment: z.string().default('').describe('Environment (cluster) that this program runs in.'),
  log: z.enum(logLevels).default('info').describe('Log level.'),
  maxConcurrency: z.number().int().min(1).default(256).describe('Calls at once; more are refused.'),
  drainTimeout: duration().default(8000).describe('How long a stop waits for calls in flight.'),
});

export type FunctionConfig = LoadedConfig<z.output<typeof schema>>['config'];

/** Reads what the platform hands to a function's container. Other variables are the author's own. */
export function loadFunctionConfig(
  env: Readonly<Record<string, string | undefined>>,
  argv: readonly string[],
): FunctionConfig {
  return loadConfig({
    schema,
    env,
    envPrefix: 'FUNCTION_',
    envNames: {
      PORT: 'port',
      HTTP_PORT: 'port',
      ODGM_ENDPOINT: 'endpoint',
      DEPLOYMENT_ID: 'deploymentId',
      ENVIRONMENT: 'environment',
    },
    envIgnored: () => true,
    flags: argv,
  }).config;
}
