import { isOaasError } from '@oaas/commons/errors';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { type GridFlags, parseFlags, usage } from './flags.ts';
import { Grid } from './grid.ts';

/** Runs a grid until a signal stops it. Called by start.mjs, once. */
export function runGrid(options: { readonly root: string; readonly argv: readonly string[] }): void {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const complain = (error: unknown): void => {
    const known = error instanceof Error ? error : new Error(String(error));
    const remedy = isOaasError(known) && known.remedy !== undefined ? `\n  ${known.remedy}` : '';
    process.stderr.write(`${known.message}${remedy}\n`);
  };

  let flags: GridFlags;
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

  const grid = new Grid({
    root: options.root,
    flags,
    path: process.env['PATH'] ?? '',
    say,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
  });
  let isStopping = false;
  const stop = async (exitCode: number): Promise<void> => {
    isStopping = true;
    await grid.stop().catch(complain);
    process.exit(exitCode);
  };
  const onSignal = (): void => {
    if (isStopping) return;
    say('stopping ...');
    void stop(0);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);

  const run = async (): Promise<void> => {
    const nodes = await grid.start();
    for (const { id, pid, grpc, http } of nodes) say(`${id}  pid ${String(pid)}  gRPC ${grpc}  admin ${http}`);
    say(`ready: ${flags.dir}/ready.json (Ctrl-C stops everything)`);
    await grid.watch();
  };
  run().catch((error: unknown) => {
    if (isStopping) return;
    complain(error);
    void stop(1);
  });
}
