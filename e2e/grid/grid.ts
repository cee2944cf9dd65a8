import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type OaasError, oaasError } from '@oaas/commons/errors';
import { backoffDelay, type BackoffOptions, type Clock, type Random, sleep, type Timers } from '@oaas/commons/time';
import { LogFile } from '../sandbox/log-file.ts';
import { endProcess, type RunningProcess, startProcess } from '../sandbox/process.ts';
import { isPortFree } from '../sandbox/runner/host-ports.ts';
import type { GridFlags } from './flags.ts';

export interface GridOptions {
  /** Root of the checkout. */
  readonly root: string;
  readonly flags: GridFlags;
  /** Variables that the nodes need of this machine. */
  readonly path: string;
  readonly say: (line: string) => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** A node as `ready.json` lists it. */
export interface ReadyNode {
  readonly id: string;
  readonly pid: number;
  /** host:port. */
  readonly grpc: string;
  /** URL of the admin API. */
  readonly http: string;
}

interface GridNode {
  readonly id: string;
  readonly grpc: string;
  readonly http: string;
  readonly log: LogFile;
  process: RunningProcess | undefined;
  /** Process id while the node says that it is ready. */
  readyPid: number | undefined;
  ended: Promise<void> | undefined;
}

const backoff: BackoffOptions = { baseMs: 100, maxMs: 5000, factor: 2, jitter: 0.2 };
/** A node that ran this long begins the delays anew. */
const goodRunMs = 10_000;
const pollMs = 50;
/** While all are ready: how long one that is not ready any more may be listed. One that has ended is taken off at once. */
const watchMs = 250;
/** How long a ready node may take to answer before it counts as not ready. */
const answerMs = 1000;
const stopGraceMs = 10_000;
/** How a node ends that cannot run with its configuration (EX_CONFIG of sysexits.h). */
const configurationExit = 78;
/** Tells a folder of a grid from any other; holds the number of its format. */
const marker = '.oaas-grid';

/** Node processes on loopback, started again when they end, and a file that tells which of them are ready. */
export class Grid {
  readonly #options: GridOptions;
  readonly #nodes: readonly GridNode[];
  readonly #stop = new AbortController();
  #written = '';
  #refusal: OaasError | undefined;

  constructor(options: GridOptions) {
    this.#options = options;
    const { nodes, portBase } = options.flags;
    this.#nodes = Array.from({ length: nodes }, (_, i) => {
      const id = `n${String(i + 1)}`;
      return {
        id,
        grpc: `127.0.0.1:${String(portBase + 2 * i)}`,
        http: `http://127.0.0.1:${String(portBase + 2 * i + 1)}`,
        log: new LogFile(path.join(this.#directory, id, 'log')),
        process: undefined,
        readyPid: undefined,
        ended: undefined,
      };
    });
  }

  get #directory(): string {
    return path.resolve(this.#options.flags.dir);
  }

  get #readyFile(): string {
    return path.join(this.#directory, 'ready.json');
  }

  /** Resolves when all nodes are ready. Throws `PortInUse` and `ConfigInvalid`. */
  async start(): Promise<readonly ReadyNode[]> {
    this.#openDirectory();
    await this.#checkPorts();
    for (const node of this.#nodes) node.ended = this.#run(node);
    for (;;) {
      const ready = await this.#look();
      if (ready.length === this.#nodes.length) return ready;
      if (this.#refusal !== undefined) throw this.#refusal;
      await sleep(this.#options.timers, pollMs, this.#stop.signal);
    }
  }

  /** Keeps ready.json true until the grid is stopped. */
  async watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const isWhole = (await this.#look()).length === this.#nodes.length;
      await sleep(this.#options.timers, isWhole ? watchMs : pollMs, this.#stop.signal).catch(() => undefined);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(
      this.#nodes.map(async (node) => {
        if (node.process !== undefined) await endProcess(node.process, stopGraceMs);
        await node.ended;
        node.log.close();
      }),
    );
    rmSync(this.#readyFile, { force: true });
  }

  /** Ends everything now. */
  kill(): void {
    this.#stop.abort();
    for (const node of this.#nodes) node.process?.signal('SIGKILL');
    rmSync(this.#readyFile, { force: true });
  }

  #openDirectory(): void {
    const { dir, fresh } = this.#options.flags;
    const isGrid = existsSync(path.join(this.#directory, marker));
    if (fresh && existsSync(this.#directory)) {
      if (!isGrid) {
        throw oaasError('ConfigInvalid', `${dir} is no folder of a grid, so --fresh leaves it alone.`, {
          remedy: 'Give another --dir, or remove the folder yourself.',
        });
      }
      rmSync(this.#directory, { recursive: true });
    }
    mkdirSync(this.#directory, { recursive: true });
    const holder = path.join(this.#directory, 'pid');
    const other = existsSync(holder) ? Number(readFileSync(holder, 'utf8')) : 0;
    if (existsSync(this.#readyFile) && other !== process.pid && isRunning(other)) {
      throw oaasError('Conflict', `process ${String(other)} runs a grid in ${dir}.`, {
        remedy: 'Stop it first, or give another --dir.',
      });
    }
    rmSync(this.#readyFile, { force: true });
    writeFileSync(path.join(this.#directory, marker), '1\n');
    writeFileSync(holder, String(process.pid));
    for (const { id } of this.#nodes) mkdirSync(path.join(this.#directory, id), { recursive: true });
  }

  async #checkPorts(): Promise<void> {
    const { portBase } = this.#options.flags;
    for (let port = portBase; port < portBase + 2 * this.#nodes.length; port++) {
      if (await isPortFree(port)) continue;
      throw oaasError('PortInUse', `Port ${String(port)} is taken.`, {
        remedy: 'Stop what listens there, or give another --port-base.',
      });
    }
  }

  /** Runs one node until the grid stops, or until its end when nothing is to be started again. */
  async #run(node: GridNode): Promise<void> {
    const { clock, timers, random, flags, say } = this.#options;
    for (let failures = 0; !this.#stop.signal.aborted;) {
      const startedMs = clock.monotonic();
      const running = startProcess({
        command: this.#command(),
        env: this.#environment(node),
        cwd: this.#directory,
        onLine: (line) => {
          node.log.write(`${line}\n`);
        },
      });
      node.process = running;
      const exit = await running.exited;
      node.process = undefined;
      node.readyPid = undefined;
      if (this.#isStopped()) return;
      this.#write();
      const how = exit.signal ?? `exit code ${String(exit.code)}`;
      if (exit.code === configurationExit) {
        // Another start would meet the same configuration.
        this.#refusal ??= oaasError('ConfigInvalid', `${node.id} refuses its configuration: ${refusalOf(node.log)}`);
        say(this.#refusal.message);
        return;
      }
      if (flags.restart === 'never') {
        say(`${node.id} ended (${how}) and stays down`);
        return;
      }
      if (clock.monotonic() - startedMs > goodRunMs) failures = 0;
      const delayMs = backoffDelay(failures, backoff, random);
      failures += 1;
      say(`${node.id} ended (${how}) and is started again`);
      await sleep(timers, delayMs, this.#stop.signal).catch(() => undefined);
    }
  }

  #command(): string[] {
    const { root } = this.#options;
    return [
      process.execPath,
      '--require',
      path.join(root, 'e2e', 'sandbox', 'tether.cjs'),
      path.join(root, 'dist', 'odgm.mjs'),
    ];
  }

  #environment(node: GridNode): Record<string, string> {
    const { flags } = this.#options;
    const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1);
    const members = this.#nodes.map(({ id, grpc, http }, i) => {
      const zone = flags.zones[i % Math.max(1, flags.zones.length)];
      return `${id}=${grpc};admin=${http.slice('http://'.length)}${zone === undefined ? '' : `;zone=${zone}`}`;
    });
    return {
      PATH: this.#options.path,
      ODGM_CLUSTER_ID: 'grid',
      ODGM_NODE_ID: node.id,
      ODGM_NODE_ADDR: node.grpc,
      ODGM_MEMBERS: members.join(','),
      ODGM_COLLECTION: JSON.stringify(flags.collections),
      ODGM_DATA_DIR: path.join(this.#directory, node.id, 'data'),
      ODGM_BIND_HOST: '127.0.0.1',
      ODGM_HTTP_PORT: portOf(node.grpc),
      ODGM_ADMIN_PORT: portOf(node.http),
      ODGM_REFLECTION_ENABLED: 'true',
      ...flags.env,
    };
  }

  /** Asks every running node whether it is ready. */
  async #look(): Promise<readonly ReadyNode[]> {
    await Promise.all(
      this.#nodes.map(async (node) => {
        const pid = node.process?.pid;
        const ready = pid !== undefined && (await isReady(node.http));
        // It may have ended meanwhile.
        if (node.process?.pid === pid) node.readyPid = ready ? pid : undefined;
      }),
    );
    return this.#write();
  }

  #write(): readonly ReadyNode[] {
    const nodes = this.#nodes.flatMap(({ id, grpc, http, readyPid }) =>
      readyPid === undefined ? [] : [{ id, pid: readyPid, grpc, http }],
    );
    const text = `${JSON.stringify({ nodes }, undefined, 2)}\n`;
    // Nothing is said before all were ready once: whoever waits for the file can begin.
    const isFirst = this.#written === '';
    if (text !== this.#written && !this.#isStopped() && (!isFirst || nodes.length === this.#nodes.length)) {
      writeFileSync(`${this.#readyFile}.new`, text);
      renameSync(`${this.#readyFile}.new`, this.#readyFile);
      this.#written = text;
    }
    return nodes;
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }
}

async function isReady(http: string): Promise<boolean> {
  try {
    return (await fetch(`${http}/ready`, { signal: AbortSignal.timeout(answerMs) })).status === 200;
  } catch {
    return false;
  }
}

function isRunning(pid: number): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The node's own words, which begin with `error:` and go on in indented lines. */
function refusalOf({ tail }: LogFile): string {
  const start = tail.findLastIndex((line) => line.startsWith('error: '));
  return tail.slice(Math.max(0, start)).join('\n').replace('error: ', '');
}
