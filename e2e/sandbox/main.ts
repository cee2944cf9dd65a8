import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { toOaasError } from '@oaas/commons/errors';
import { parseFlags, type SandboxFlags, usage } from './flags.ts';
import { type ConsoleBuild, Sandbox } from './sandbox.ts';

export interface RunOptions {
  /** Root of the checkout. */
  readonly root: string;
  readonly argv: readonly string[];
  /** Builds the console if it is stale. */
  readonly buildConsole: (log: (line: string) => void) => ConsoleBuild;
}

/**
 * A terminal sends Ctrl-C to npm and to this process, and npm hands on what it got: signals this close together are one
 * press of the key.
 */
const samePressMs = 400;
/** Everything is killed when stopping in order takes longer. */
const stopMaxMs = 4500;

/** Runs the sandbox until a signal stops it. Called by start.mjs, once. */
export function runSandbox(options: RunOptions): void {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const complain = (error: unknown): void => {
    const { code, message, remedy } = toOaasError(error);
    const known = code === 'StorageFull' && remedy === undefined ? 'Make room on the disk, and start again.' : remedy;
    process.stderr.write(`${message}${known === undefined ? '' : `\n  ${known}`}\n`);
  };

  let flags: SandboxFlags;
  try {
    flags = parseFlags(options.argv);
  } catch (error) {
    complain(error);
    process.exit(2);
  }
  if (flags.help) {
    say(usage);
    process.exit(0);
  }
  if (flags.buildOnly) {
    options.buildConsole(say).done.then(
      () => process.exit(0),
      (error: unknown) => {
        complain(error);
        process.exit(1);
      },
    );
    return;
  }

  const sandbox = new Sandbox({
    root: options.root,
    flags,
    env: process.env,
    buildConsole: () => options.buildConsole(say),
    createLogger: (destination) => createLogger({ service: 'sandbox', destination }),
    say,
    fail: (error) => onDefect(error),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
  });

  let stoppingSince: number | undefined;
  const stop = async (exitCode: number): Promise<void> => {
    if (stoppingSince !== undefined) return;
    stoppingSince = performance.now();
    const tooLong = setTimeout(() => {
      sandbox.kill();
      process.exit(exitCode === 0 ? 1 : exitCode);
    }, stopMaxMs);
    await sandbox.stop().catch(complain);
    clearTimeout(tooLong);
    process.exit(exitCode);
  };
  const onSignal = (): void => {
    if (stoppingSince === undefined) {
      say('\nstopping ...');
      void stop(0);
    } else if (performance.now() - stoppingSince > samePressMs) {
      sandbox.kill();
      process.exit(130);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);
  const onDefect = (error: unknown): void => {
    if (stoppingSince === undefined) complain(error);
    void stop(1);
  };
  process.on('uncaughtException', onDefect);
  process.on('unhandledRejection', onDefect);

  sandbox.start().catch((error: unknown) => {
    // A start that was interrupted is no failure.
    if (stoppingSince !== undefined) return;
    complain(error);
    void stop(1);
  });
}
