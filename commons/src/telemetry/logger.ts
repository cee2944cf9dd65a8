import { pino, stdTimeFunctions, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { isOaasError } from '../errors/index.ts';
import { currentCorrelationId } from './correlation.ts';
import { prettyStream } from './pretty.ts';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** pino's logger: `logger.info({ field }, 'constant message')`. `child({…})` adds fields to every line. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Name of the program, as `service` in every line. */
  readonly service: string;
  /** Default `info`. */
  readonly level?: LogLevel | undefined;
  /** Short lines for a person at a terminal instead of JSON. Default false. */
  readonly pretty?: boolean | undefined;
  /** Where lines go. Default: standard output, written at once so that a crash loses none. */
  readonly destination?: DestinationStream | undefined;
}

/** Names of fields that never reach a log, at the top or one level down. */
const secretFields = [
  'password',
  'token',
  'secret',
  'authorization',
  'cookie',
  'credentials',
  'privateKey',
  'apiKey',
  'clientSecret',
  'webhookSecret',
];
const secretHeaders = ['authorization', 'cookie', 'set-cookie', 'proxy-authorization', 'x-hub-signature-256'];

const redactedPaths = [
  ...secretFields.flatMap((name) => [name, `*.${name}`]),
  ...secretHeaders.flatMap((name) => [`headers["${name}"]`, `*.headers["${name}"]`]),
];

/**
 * A logger of JSON lines: `{level, time (RFC 3339), service, correlation_id?, msg, …}`. Levels are names, not numbers.
 * Known secret fields print as `***`. An error under `err` carries its code, details and causes.
 */
export function createLogger(options: LoggerOptions): Logger {
  const sink = options.destination ?? pino.destination({ dest: 1, sync: true });
  return pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service },
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: redactedPaths, censor: '***' },
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
      mixin: () => {
        const id = currentCorrelationId();
        return id === undefined ? {} : { correlation_id: id };
      },
    },
    options.pretty === true ? prettyStream(sink) : sink,
  );
}

/** Longest chain of causes that a log line follows. */
const causesMax = 5;

function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const known = isOaasError(error) ? error : undefined;
  return {
    type: error.name,
    message: error.message,
    ...(known === undefined ? {} : { code: known.code, remedy: known.remedy, details: known.details }),
    stack: error.stack,
    ...(error.cause === undefined || depth >= causesMax ? {} : { cause: describeError(error.cause, depth + 1) }),
  };
}
