import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { issueCertificates } from '../../conformance/grpc/certificates.ts';
import { isOnPath } from '../../conformance/grpc/programs.ts';
import type { Implementation } from '../../conformance/grpc/serve.ts';
import { callingClients, oneAtATime } from './clients.ts';
import { hasH2load } from './h2load.ts';
import { memory } from './memory.ts';
import { equalLoad, interceptors, streaming, unary } from './native.ts';
import { type Line, print } from './report.ts';

const parts = ['unary', 'load', 'tls', 'stream', 'around', 'client', 'one', 'memory'] as const;
type Part = (typeof parts)[number];

export interface Plan {
  /** Measurements of each thing; the median counts. */
  readonly runs: number;
  /** Length of a measurement; each has a second of warm-up before it. */
  readonly seconds: number;
  /** For files of the run. */
  readonly dir: string;
}

/**
 * The data edge beside grpc-js and node:http2 with gRPC framed by hand: the same service over a map, each server in a
 * process of its own, on one machine with the load. Servers take turns, so that what disturbs the machine hits them all.
 */
export async function runEdge(args: readonly string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '1' },
      only: { type: 'string', default: parts.join(',') },
      json: { type: 'string' },
    },
  });
  const wanted = new Set(values.only.split(','));
  const dir = mkdtempSync(join(tmpdir(), 'oaas-bench-edge-'));
  const plan: Plan = { runs: Number(values.runs), seconds: Number(values.seconds), dir };
  const machine = {
    node: process.version,
    platform: `${process.platform}/${process.arch}`,
    cores: availableParallelism(),
  };
  console.log(
    `Node ${machine.node}, ${machine.platform}, ${machine.cores} cores; 1 KiB values; medians of ${plan.runs}\n`,
  );
  const lines: Line[] = [];
  const part = async (name: Part, run: () => Promise<readonly Line[]>): Promise<void> => {
    if (!wanted.has(name)) return;
    console.error(`measuring: ${name}`);
    lines.push(...(await run()));
  };
  try {
    const all: readonly Implementation[] = ['ours', 'grpc-js', 'http2'];
    if (await hasH2load()) {
      await part('unary', () => unary(plan, all));
      await part('load', () => equalLoad(plan, all));
      if (isOnPath('openssl', 'version')) await part('tls', () => unary(plan, all, certificates(dir)));
      else console.log('SKIPPED: TLS, since openssl is not on PATH.');
      await part('stream', () => streaming(plan));
      await part('around', () => interceptors(plan));
    } else {
      console.log(
        'SKIPPED: unary calls, equal load, TLS, streaming, interceptors: h2load (nghttp2-client) is not on PATH.',
      );
    }
    await part('client', () => callingClients(plan));
    await part('one', () => oneAtATime(plan));
    await part('memory', () => memory());
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  print(lines);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, plan, lines }, null, 2)}\n`);
  return lines.every(({ bars }) => bars.every(({ met }) => met));
}

/** A folder as `npm run edge -- --tls` takes it. */
function certificates(dir: string): string {
  issueCertificates(dir, ['server']);
  const tls = join(dir, 'tls');
  mkdirSync(tls);
  copyFileSync(join(dir, 'server.pem'), join(tls, 'cert.pem'));
  copyFileSync(join(dir, 'server.key'), join(tls, 'key.pem'));
  return tls;
}
