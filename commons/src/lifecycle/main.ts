import { errorTable, ExitRequest, isOaasError, toOaasError } from '../errors/index.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { LifecycleGroup } from './group.ts';

export interface MainContext {
  /** Arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** From here on, failures go to this logger instead of standard error. */
  useLogger(logger: Logger): void;
  /** Stops the program as SIGTERM does, with this exit code (default 0). */
  shutdown(reason: string, exitCode?: number): void;
}

/** Exit codes of a program. 78 is EX_CONFIG of sysexits.h. */
const exitCodes = { ok: 0, failure: 1, configuration: 78 } as const;

/**
 * Runs a program: builds its group by `main`, starts it, and stops it on SIGINT or SIGTERM (exit code 0). The second
 * signal ends the process at once (128 + number of the signal). An error of the start, a promise nobody waits for, or an
 * uncaught exception is logged and ends the program with 1, bad configuration with 78. To be called once, by `main*.ts`.
 */
export function runMain(main: (context: MainContext) => Promise<LifecycleGroup>): void {
  const abort = new AbortController();
  let logger: Logger | undefined;
  let group: LifecycleGroup | undefined;
  let isStopping = false;

  const report = (error: unknown, message: string): void => {
    if (logger === undefined) process.stderr.write(plainText(error));
    else logger.fatal({ err: error }, message);
  };

  const stop = async (exitCode: number): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    abort.abort();
    try {
      await group?.stop();
      process.exit(exitCode);
    } catch (error) {
      report(error, 'the program did not stop cleanly');
      process.exit(exitCode === exitCodes.ok ? exitCodes.failure : exitCode);
    }
  };

  const onSignal = (name: NodeJS.Signals, number: number): void => {
    if (isStopping) process.exit(128 + number);
    logger?.info({ signal: name }, 'asked to stop');
    void stop(exitCodes.ok);
  };

  const fatal = (error: unknown, message: string): void => {
    report(error, message);
    void stop(exitCodes.failure);
  };

  process.on('SIGINT', () => {
    onSignal('SIGINT', 2);
  });
  process.on('SIGTERM', () => {
    onSignal('SIGTERM', 15);
  });
  process.on('uncaughtException', (error) => {
    fatal(error, 'uncaught exception');
  });
  process.on('unhandledRejection', (reason) => {
    fatal(reason, 'unhandled promise rejection');
  });

  const context: MainContext = {
    argv: process.argv.slice(2),
    env: process.env,
    signal: abort.signal,
    useLogger: (given) => {
      logger = given;
    },
    shutdown: (reason, exitCode = exitCodes.ok) => {
      logger?.info({ reason }, 'shutting down');
      void stop(exitCode);
    },
  };

  const start = async (): Promise<void> => {
    group = await main(context);
    await group.start(abort.signal);
  };
  start().catch((error: unknown) => {
    if (error instanceof ExitRequest) {
      process.stdout.write(`${error.output}\n`);
      process.exit(error.exitCode);
    }
    // A start that was cut short by a signal is no failure.
    if (isStopping) return;
    report(error, 'the program could not start');
    process.exit(isOaasError(error, 'ConfigInvalid') ? exitCodes.configuration : exitCodes.failure);
  });
}

/** For people, before there is a logger. */
function plainText(error: unknown): string {
  const known = toOaasError(error);
  return `error: ${known.message}\n  ${known.remedy ?? errorTable[known.code].remedy}\n`;
}
