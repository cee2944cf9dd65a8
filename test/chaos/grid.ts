import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@oaas/commons/testkit';
import {
  type CuttingProxy,
  freePorts,
  type NodeProcess,
  proxyClient,
  spawnNode,
  startCuttingProxy,
} from '@oaas/odgm/testkit';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

export interface ChaosGridOptions {
  readonly nodes: number;
  /** Data and logs of the nodes. */
  readonly directory: string;
  /** As in ODGM_COLLECTION. */
  readonly collections: readonly object[];
  /** See `buildNode`. */
  readonly program: readonly string[];
  /** The first node has a disk of its own that can be filled, where mounting is allowed. */
  readonly smallDisk?: boolean;
}

const smallDiskMebibytes = 256;
/** Something else may have taken a port while its node was down. */
const startsMax = 5;

interface ShardRow {
  readonly collection: string;
  readonly partition: number;
  readonly leader: string;
}

/** Node processes with a proxy between each two of them, and everything that may be done to them. */
export class ChaosGrid {
  readonly ids: readonly string[];
  readonly proxy: CuttingProxy;
  /** Of the first node. */
  readonly disk: SmallDisk | undefined;
  readonly #options: ChaosGridOptions;
  readonly #ports: readonly number[];
  readonly #processes = new Map<string, NodeProcess>();
  readonly #starting = new Map<string, Promise<void>>();
  readonly #paused = new Set<string>();
  readonly #pasts = new Map<string, string>();
  #isStopped = false;

  private constructor(
    options: ChaosGridOptions,
    ids: readonly string[],
    ports: readonly number[],
    proxy: CuttingProxy,
    disk: SmallDisk | undefined,
  ) {
    this.#options = options;
    this.ids = ids;
    this.#ports = ports;
    this.proxy = proxy;
    this.disk = disk;
  }

  /** Resolves when all nodes are ready. */
  static async start(options: ChaosGridOptions): Promise<ChaosGrid> {
    const ids = Array.from({ length: options.nodes }, (_, i) => `n${String(i + 1)}`);
    const ports = await freePorts(2 * ids.length);
    const nodes = ids.map((id, i) => ({ id, target: `127.0.0.1:${String(ports[i])}` }));
    const proxy = await startCuttingProxy({ nodes });
    await mkdir(options.directory, { recursive: true });
    const disk =
      options.smallDisk === true ? mountSmallDisk(join(options.directory, 'small'), smallDiskMebibytes) : undefined;
    const grid = new ChaosGrid(options, ids, ports, proxy, disk);
    await grid.startNodes(ids);
    await grid.ready();
    return grid;
  }

  /** host:port of the node itself: clients do not go through the proxy. */
  addressOf(id: string): string {
    return `127.0.0.1:${String(this.#ports[this.ids.indexOf(id)])}`;
  }

  isUp(id: string): boolean {
    return this.#processes.has(id);
  }

  isPaused(id: string): boolean {
    return this.#paused.has(id);
  }

  /** Everything that the node wrote, in all its lives. */
  outputOf(id: string): string {
    return (this.#pasts.get(id) ?? '') + (this.#processes.get(id)?.output() ?? '');
  }

  /** SIGKILL to all of them in one turn. Resolves when they are gone. */
  async kill(ids: readonly string[]): Promise<void> {
    const gone = ids.flatMap((id) => {
      const node = this.#processes.get(id);
      if (node === undefined) return [];
      node.child.kill('SIGKILL');
      return [node.ended];
    });
    await Promise.all(gone);
  }

  /** Starts those that do not run. Resolves when there are processes, ready or not. */
  async startNodes(ids: readonly string[]): Promise<void> {
    if (this.#isStopped) return;
    const down = ids.filter((id) => !this.#processes.has(id));
    await Promise.all(
      down.map((id) => {
        const starting = this.#starting.get(id) ?? this.#start(id).finally(() => this.#starting.delete(id));
        this.#starting.set(id, starting);
        return starting;
      }),
    );
  }

  pause(id: string): void {
    if (this.#processes.get(id)?.child.kill('SIGSTOP') === true) this.#paused.add(id);
  }

  resume(id: string): void {
    this.#paused.delete(id);
    this.#processes.get(id)?.child.kill('SIGCONT');
  }

  /** Every flush of the node's journal takes so much longer, in milliseconds; 0 for a disk as it is. */
  slow(id: string, flushMs: number): void {
    const child = this.#processes.get(id)?.child;
    if (child?.connected === true) child.send({ flushMs }, () => undefined);
  }

  /** Cut off from all other nodes, and from whoever forwards calls to it. Nobody is told. */
  isolate(id: string): void {
    this.proxy.isolate(id);
    this.proxy.blackhole(proxyClient, id);
  }

  /** Undoes everything. Resolves when all nodes are ready. */
  async heal(): Promise<void> {
    this.proxy.heal();
    this.disk?.free();
    for (const id of this.ids) this.resume(id);
    await this.startNodes(this.ids);
    for (const id of this.ids) this.slow(id, 0);
    await this.ready();
  }

  async ready(): Promise<void> {
    await Promise.all(
      this.ids.map((id) =>
        eventually(
          async () => {
            const node = this.#processes.get(id);
            if (node === undefined) throw new Error(`${id} does not run: ${this.outputOf(id).slice(-2000)}`);
            return (await fetch(`${node.admin}/ready`, { signal: AbortSignal.timeout(1000) })).status === 200;
          },
          { timeoutMs: 60_000, intervalMs: 50 },
        ),
      ),
    );
  }

  /** The node that leads the partition, as the first node says that answers. */
  async leaderOf(collection: string, partition: number): Promise<string | undefined> {
    const { shards } = await this.admin<{ shards: ShardRow[] }>('/admin/shards/distribution');
    const leader = shards.find((one) => one.collection === collection && one.partition === partition)?.leader;
    return leader === '' ? undefined : leader;
  }

  /** Asks the admin API of the nodes that run, one after the other. */
  async admin<T>(path: string, method = 'GET'): Promise<T> {
    let problem: unknown = new Error('no node runs');
    for (const id of this.ids) {
      const node = this.#processes.get(id);
      if (node === undefined || this.#paused.has(id)) continue;
      try {
        const response = await fetch(node.admin + path, { method, signal: AbortSignal.timeout(3000) });
        const body = (await response.json()) as T;
        if (response.ok) return body;
        problem = new Error(JSON.stringify(body));
      } catch (error) {
        problem = error;
      }
    }
    throw problem;
  }

  /** Ends everything now. Logs stay. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#starting.values());
    await this.kill(this.ids);
    await this.proxy.close();
    for (const id of this.ids) await writeFile(join(this.#options.directory, `${id}.log`), this.outputOf(id));
    this.disk?.remove();
  }

  async #start(id: string): Promise<void> {
    for (let starts = 1; ; starts += 1) {
      const node = await this.#spawn(id);
      // It has begun once it answers, or has said why it will not.
      await eventually(
        async () => {
          if (node.child.exitCode !== null || node.child.signalCode !== null) return true;
          return (await fetch(`${node.admin}/admin/health`, { signal: AbortSignal.timeout(1000) })).status > 0;
        },
        { timeoutMs: 30_000, intervalMs: 20 },
      ).catch(() => undefined);
      if (!node.output().includes('PortInUse')) return;
      if (starts >= startsMax) throw new Error(`${id} cannot have its ports`);
      await node.ended;
    }
  }

  async #spawn(id: string): Promise<NodeProcess> {
    const { directory, collections, program } = this.#options;
    const at = this.ids.indexOf(id);
    const node = await spawnNode({
      ...{ id, collections, program, ipc: true },
      dataDir: at === 0 && this.disk !== undefined ? this.disk.path : join(directory, id),
      members: this.ids.map((one) => `${one}=${this.proxy.addressOf(one)}`),
      ports: [this.#ports[at] ?? 0, this.#ports[at + this.ids.length] ?? 0],
    });
    this.#processes.set(id, node);
    void node.ended.then((how) => {
      if (this.#processes.get(id) !== node) return;
      this.#paused.delete(id);
      this.#pasts.set(id, `${this.outputOf(id)}\n--- ${id} ended: ${String(how)}\n`);
      this.#processes.delete(id);
    });
    return node;
  }
}
