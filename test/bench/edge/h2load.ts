import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const program = 'h2load';
const execute = promisify(execFile);

export interface NativeLoad {
  readonly port: number;
  readonly isTls?: boolean;
  /** Of the call, such as `/oprc.DataService/Set`. */
  readonly path: string;
  /** The request with its prefix. Several: as many h2load side by side, which share the connections. */
  readonly bodies: readonly Uint8Array[];
  readonly connections: number;
  /** Calls at once on each connection. */
  readonly streams: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Calls a second in all, instead of as many as the server takes. */
  readonly rate?: number;
}

export interface NativeResult {
  readonly perSecond: number;
  /** Only at a fixed rate. */
  readonly p99Ms: number | undefined;
}

export async function hasH2load(): Promise<boolean> {
  return execute(program, ['--version']).then(
    () => true,
    () => false,
  );
}

/** Loads a data service by h2load of nghttp2. Throws when a call fails. @param dir for its files. */
export async function loadNatively(dir: string, load: NativeLoad): Promise<NativeResult> {
  const bodies = load.bodies.slice(0, load.connections);
  const results = await Promise.all(
    bodies.map((body, i) => runOnce(join(dir, `request-${i}`), load, body, load.connections / bodies.length)),
  );
  const perSecond = results.reduce((sum, result) => sum + result.perSecond, 0);
  const times = Float64Array.from(results.flatMap((result) => result.times)).sort();
  return { perSecond, p99Ms: load.rate === undefined ? undefined : at(times, 0.99) };
}

/** Durations only at a fixed rate. */
async function runOnce(
  file: string,
  load: NativeLoad,
  body: Uint8Array,
  connections: number,
): Promise<{ readonly perSecond: number; readonly times: readonly number[] }> {
  const { rate } = load;
  const log = `${file}.log`;
  writeFileSync(`${file}.bin`, body);
  const args = ['-t1', `-c${connections}`, `-m${load.streams}`, '-d', `${file}.bin`];
  args.push(`-D${load.seconds}`, '--warm-up-time', String(load.warmUpSeconds));
  args.push('-H', 'te: trailers', '-H', 'content-type: application/grpc');
  if (rate !== undefined) args.push('--rps', String(rate / load.connections), '--log-file', log);
  args.push(`${load.isTls === true ? 'https' : 'http'}://127.0.0.1:${load.port}${load.path}`);
  const { stdout } = await execute(program, args, { maxBuffer: 16 * 1024 * 1024 });
  const perSecond = Number(/finished in .*?, ([\d.]+) req\/s/.exec(stdout)?.[1]);
  const failed = Number(/(\d+) failed/.exec(stdout)?.[1]);
  const succeeded = Number(/(\d+) succeeded/.exec(stdout)?.[1]);
  // A call that fails has the status 200 as well, but no message: not even the prefix of one.
  const messageBytes = Number(/\((\d+)\) data/.exec(stdout)?.[1]);
  const wrong = [...stdout.matchAll(/(\d+) [345]xx/g)].some(([, count]) => count !== '0');
  if (!(perSecond > 0) || failed !== 0 || wrong || messageBytes < 5 * succeeded)
    throw new Error(`calls failed:\n${stdout}`);
  return { perSecond, times: rate === undefined ? [] : timesOf(log) };
}

/** Durations of the calls after the warm-up. A row: start (us since the epoch), status, duration (us). */
function timesOf(log: string): number[] {
  const rows = readFileSync(log, 'utf8').trim().split('\n');
  rmSync(log);
  return rows.map((row) => Number(row.split('\t')[2]) / 1000);
}

function at(sorted: Float64Array, fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}
