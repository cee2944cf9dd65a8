import { execFileSync } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPmClient, type PmClient } from '@oaas/commons/client/pm';
import { oaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { sleep } from '@oaas/commons/time';
import type { GitServer } from '@oaas/reconciler/testkit/git';
import type { Child } from './child.ts';
import {
  type EmbeddedCluster,
  gitUser,
  repository,
  type Setting,
  startConsole,
  startCrm,
  startEmbeddedCluster,
  startGit,
  startPm,
} from './compose.ts';
import { openDirectory, processesFile, type SandboxDirectory, type Secrets } from './directory.ts';
import type { SandboxFlags } from './flags.ts';
import { LogFile } from './log-file.ts';
import { endOrphans, ProcessList } from './orphans.ts';
import { checkPorts, planPorts, type PortPlan } from './ports.ts';
import { HostPorts } from './runner/host-ports.ts';
import { platformImages } from './runner/images.ts';
import { findRealClusters, type RealCluster } from './real-clusters.ts';
import type { Ambient } from './workloads/caches.ts';

/** What stands in `<dir>/ready.json` while the sandbox is ready. */
export interface Ready {
  readonly console: { readonly url: string; readonly user: string; readonly password: string };
  /** With credentials: what to clone. */
  readonly git: { readonly url: string };
  readonly pm: { readonly url: string; readonly token: string };
  /** `crm` is host:port of its gRPC services. */
  readonly clusters: Readonly<Record<string, { readonly kubeconfig: string; readonly crm: string }>>;
}

export interface ConsoleBuild {
  /** Path of the server's file. Rejects with what the build said. */
  readonly done: Promise<string>;
  stop(): void;
}

export interface SandboxOptions extends Ambient {
  readonly root: string;
  readonly flags: SandboxFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly buildConsole: () => ConsoleBuild;
  readonly createLogger: (destination: { write(line: string): void }) => Logger;
  /** Something failed without which the sandbox cannot go on. */
  readonly fail: (error: unknown) => void;
  /** Prints a line for the person at the terminal. */
  readonly say: (line: string) => void;
}

const embeddedNames = ['cloud', 'edge'] as const;
/** Time for programs and pods to end by themselves; with the rest it has to stay under 5 s. */
const stopGraceMs = 3000;
const programReadyMs = 60_000;
const firstSyncMs = 90_000;

/** The whole platform on this machine: everything that `npm start` brings up. */
export class Sandbox {
  readonly #options: SandboxOptions;
  readonly #abort = new AbortController();
  #directory: SandboxDirectory | undefined;
  #processes: ProcessList | undefined;
  #consoleBuild: ConsoleBuild | undefined;
  #git: GitServer | undefined;
  #log: LogFile | undefined;
  #starting: Promise<void> | undefined;
  readonly #clusters: EmbeddedCluster[] = [];
  readonly #children: Child[] = [];

  constructor(options: SandboxOptions) {
    // Everything that waits listens to it.
    setMaxListeners(0, this.#abort.signal);
    this.#options = options;
  }

  /** Resolves when everything answers and the first commit is applied. Rejects with an error of one clear line. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { flags, clock, timers, say, root } = this.#options;
    const startedMs = clock.monotonic();
    needsGit();
    const embedded = embeddedNames.filter((name) => !flags.realClusters.has(name));
    const names = [...new Set([...embeddedNames, ...flags.realClusters.keys()])];
    const plan = planPorts(flags.portBase, names);
    const real = findRealClusters(flags.realClusters, this.#options.env);

    this.#directory = await openDirectory(flags.dir, { fresh: flags.fresh });
    const { path: dir, secrets } = this.#directory;
    const orphans = await endOrphans(join(dir, processesFile), timers);
    if (orphans > 0) say(`ended ${String(orphans)} processes that an earlier sandbox had left behind`);
    await checkPorts(plan, flags.portBase);
    await mkdir(join(dir, 'logs'), { recursive: true, mode: 0o700 });
    await rm(join(dir, 'ready.json'), { force: true });
    this.#processes = new ProcessList(join(dir, processesFile));
    this.#log = new LogFile(join(dir, 'logs', 'sandbox.log'));
    const setting = this.#setting(dir, this.#processes, this.#log);
    this.#consoleBuild = this.#options.buildConsole();
    // Awaited below; until then its failure is nobody's unhandled rejection.
    this.#consoleBuild.done.catch(() => undefined);

    const git = await startGit(setting, {
      port: plan.git,
      password: secrets.gitPassword,
      webhook: { url: `${pmUrlOf(plan)}/api/v1/webhooks/{repository}`, secret: secrets.webhookSecret },
      examples: join(root, 'gitops-examples'),
    });
    this.#git = git;
    const kubeconfigs = await this.#startClusters(setting, plan, embedded);
    for (const [name, { kubeconfig }] of real) kubeconfigs.set(name, kubeconfig);
    say(`clusters: ${names.map((name) => `${name} (${real.get(name)?.context ?? 'embedded'})`).join(', ')}`);
    say('starting the platform ...');
    const crms = this.#startCrms(setting, plan, secrets, kubeconfigs);
    const pm = await startPm(setting, {
      port: plan.pm,
      opsPort: plan.pmOps,
      grpcPort: plan.pmGrpc,
      token: secrets.pmToken,
      clusters: [...plan.clusters].map(([name, ports]) => ({
        name,
        url: `http://127.0.0.1:${String(ports.crm)}`,
        token: secrets.crmToken,
      })),
      git: { url: git.repositoryUrl(repository), password: secrets.gitPassword },
      webhookSecret: secrets.webhookSecret,
    });
    this.#children.push(pm);
    const { signal } = this.#abort;
    const isUp = [...crms, pm].map((child) => child.ready(programReadyMs, signal));
    const isSynced = Promise.all(isUp).then(() =>
      this.#firstSync(createPmClient({ baseUrl: pmUrlOf(plan), token: secrets.pmToken })),
    );
    await Promise.all([isSynced, this.#startConsole(setting, plan, secrets)]);

    const ready = readyOf(plan, secrets, kubeconfigs);
    await writeReady(dir, ready);
    say(announcement(ready, real, (clock.monotonic() - startedMs) / 1000, dir));
  }

  /** Stops everything, pods too. Resolves when no process is left. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#consoleBuild?.stop();
    // What is half started must be known before it can be stopped.
    await this.#starting?.catch(() => undefined);
    const dir = this.#directory?.path;
    if (dir !== undefined) await rm(join(dir, 'ready.json'), { force: true });
    const results = await Promise.allSettled([
      ...this.#children.map((child) => child.stop(stopGraceMs)),
      ...this.#clusters.map((cluster) => cluster.stop(stopGraceMs)),
      this.#git?.stop(),
    ]);
    this.#processes?.killAll();
    this.#processes?.clear();
    this.#log?.close();
    await this.#directory?.release();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Ends all processes at once. */
  kill(): void {
    this.#consoleBuild?.stop();
    this.#processes?.killAll();
  }

  #setting(dir: string, processes: ProcessList, log: LogFile): Setting {
    const { root, env, clock, timers, random, createLogger, fail } = this.#options;
    const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_EXTRA_CA_CERTS'];
    return {
      dir,
      dist: join(root, 'dist'),
      node: [process.execPath, '--require', join(root, 'e2e', 'sandbox', 'tether.cjs')],
      processes,
      baseEnv: Object.fromEntries(inherited.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
      logger: createLogger(log),
      fail,
      signal: this.#abort.signal,
      clock,
      timers,
      random,
    };
  }

  /** Path of the kubeconfig by cluster. */
  async #startClusters(setting: Setting, plan: PortPlan, embedded: readonly string[]): Promise<Map<string, string>> {
    const images = platformImages(setting.dist, setting.node);
    const ports = new HostPorts({ file: join(setting.dir, 'ports.json'), ...plan.pods });
    const kubeconfigs = new Map<string, string>();
    await Promise.all(
      embedded.map(async (name) => {
        const clusterPorts = plan.clusters.get(name);
        if (clusterPorts === undefined) throw oaasError('Internal', `cluster ${name} has no ports`);
        const { api, nodePorts } = clusterPorts;
        const cluster = await startEmbeddedCluster(setting, { name, port: api, nodePorts, run: { images, ports } });
        this.#clusters.push(cluster);
        kubeconfigs.set(name, cluster.kubeconfig);
      }),
    );
    return kubeconfigs;
  }

  #startCrms(
    setting: Setting,
    plan: PortPlan,
    secrets: Secrets,
    kubeconfigs: ReadonlyMap<string, string>,
  ): readonly Child[] {
    const { flags, env } = this.#options;
    return [...plan.clusters].map(([name, ports]) => {
      const context = flags.realClusters.get(name);
      const own = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
      const crm = startCrm(setting, {
        name,
        ports,
        kubeconfig: kubeconfigs.get(name) ?? '',
        token: secrets.crmToken,
        isReal: context !== undefined,
        ...(context === undefined ? {} : { context, env: Object.fromEntries(own) }),
      });
      this.#children.push(crm);
      return crm;
    });
  }

  /** The console needs its build, which may take longest; it does not need PM to come up. */
  async #startConsole(setting: Setting, plan: PortPlan, secrets: Secrets): Promise<void> {
    const server = await this.#consoleBuild?.done;
    if (server === undefined || this.#abort.signal.aborted) return;
    const program = startConsole(setting, {
      server,
      port: plan.console,
      pm: { url: pmUrlOf(plan), token: secrets.pmToken },
      password: secrets.adminPassword,
      cookieKey: secrets.cookieKey,
    });
    this.#children.push(program);
    await program.ready(programReadyMs, this.#abort.signal);
  }

  /** Waits until PM has made what the repository says, or has refused it: a broken commit must not keep anybody out. */
  async #firstSync(pm: PmClient): Promise<void> {
    const { clock, timers, say } = this.#options;
    const deadline = clock.monotonic() + firstSyncMs;
    let last = '';
    while (clock.monotonic() < deadline) {
      const source = await pm.getSource(repository).catch(() => undefined);
      if (source !== undefined) {
        if (['Synced', 'Refused', 'Suspended'].includes(source.phase)) return;
        last = `${source.phase}: ${source.message}`;
      }
      await sleep(timers, 100, this.#abort.signal);
    }
    say(`warning: the repository was not applied within ${String(firstSyncMs / 1000)} s (${last}); see the console`);
  }
}

function needsGit(): void {
  try {
    execFileSync('git', ['--exec-path'], { stdio: 'ignore' });
  } catch (error) {
    throw oaasError('FailedPrecondition', 'git was not found: the sandbox serves a repository with it.', {
      remedy: 'Install git.',
      cause: error,
    });
  }
}

function pmUrlOf(plan: PortPlan): string {
  return `http://127.0.0.1:${String(plan.pm)}`;
}

function readyOf(plan: PortPlan, secrets: Secrets, kubeconfigs: ReadonlyMap<string, string>): Ready {
  const clusters = [...plan.clusters].map(([name, { crm }]) => [
    name,
    { kubeconfig: kubeconfigs.get(name) ?? '', crm: `127.0.0.1:${String(crm)}` },
  ]);
  const credentials = `${gitUser}:${encodeURIComponent(secrets.gitPassword)}`;
  return {
    console: {
      url: `http://127.0.0.1:${String(plan.console)}`,
      user: 'admin',
      password: secrets.adminPassword,
    },
    git: { url: `http://${credentials}@127.0.0.1:${String(plan.git)}/${repository}.git` },
    pm: { url: pmUrlOf(plan), token: secrets.pmToken },
    clusters: Object.fromEntries(clusters) as Ready['clusters'],
  };
}

/** Written beside and moved, so that whoever waits for the file never reads half of it. */
async function writeReady(dir: string, ready: Ready): Promise<void> {
  const temporary = join(dir, 'ready.json.new');
  await writeFile(temporary, `${JSON.stringify(ready, null, 2)}\n`, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, join(dir, 'ready.json'));
}

function announcement(ready: Ready, real: ReadonlyMap<string, RealCluster>, seconds: number, dir: string): string {
  const flagsOf = (name: string, kubeconfig: string): string => {
    const context = real.get(name)?.context;
    return `--kubeconfig ${kubeconfig}${context === undefined ? '' : ` --context ${context}`}`;
  };
  const clusters = Object.entries(ready.clusters);
  const [name, first] = clusters[0] ?? ['', undefined];
  const kubectl = `kubectl ${flagsOf(name, first?.kubeconfig ?? '')}`;
  return [
    '',
    `ready in ${seconds.toFixed(1)} s`,
    '',
    `  console    ${ready.console.url}    user ${ready.console.user}, password ${ready.console.password}`,
    `  git        ${ready.git.url}`,
    `  pm         ${ready.pm.url}    token in ${join(dir, 'ready.json')}`,
    ...clusters.map(([each, { kubeconfig }]) => `  ${each.padEnd(10)} kubectl ${flagsOf(each, kubeconfig)}`),
    '',
    'try:',
    `  git clone ${ready.git.url} && cd ${repository}   # edit a package, commit, git push`,
    `  ${kubectl} get dr`,
    `  ${kubectl} get pods`,
    '',
    'Ctrl-C stops everything; the next start continues with the same data.',
  ].join('\n');
}
