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
  /** The request with its prefix. */
  readonly body: Uint8Array;
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
  const { connections, rate } = load;
  const body = join(dir, 'request.bin');
  const log = join(dir, 'requests.log');
  writeFileSync(body, load.body);
  const args = ['-t1', `-c${connections}`, `-m${load.streams}`, '-d', body];
  args.push(`-D${load.seconds}`, '--warm-up-time', String(load.warmUpSeconds));
  args.push('-H', 'te: trailers', '-H', 'content-type: application/grpc');
  if (rate !== undefined) args.push('--rps', String(rate / connections), '--log-file', log);
  args.push(`${load.isTls === true ? 'https' : 'http'}://127.0.0.1:${load.port}${load.path}`);
  const { stdout } = await execute(program, args, { maxBuffer: 16 * 1024 * 1024 });
  const perSecond = Number(/finished in .*?, ([\d.]+) req\/s/.exec(stdout)?.[1]);
  const failed = Number(/(\d+) failed/.exec(stdout)?.[1]);
  const wrong = [...stdout.matchAll(/(\d+) [345]xx/g)].some(([, count]) => count !== '0');
  if (!(perSecond > 0) || failed !== 0 || wrong) throw new Error(`calls failed:\n${stdout}`);
  if (rate === undefined) return { perSecond, p99Ms: undefined };
  const times = timesOf(log);
  return { perSecond, p99Ms: at(times, 0.99) };
}

/** Durations of the calls after the warm-up, sorted. A row: start (us since the epoch), status, duration (us). */
function timesOf(log: string): Float64Array {
  const rows = readFileSync(log, 'utf8').trim().split('\n');
  rmSync(log);
  return Float64Array.from(rows, (row) => Number(row.split('\t')[2]) / 1000).sort();
}

function at(sorted: Float64Array, fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}
