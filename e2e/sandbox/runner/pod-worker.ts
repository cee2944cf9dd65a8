import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isOaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, sleep, type Timers, toRfc3339 } from '@oaas/commons/time';
import type { ProcessList } from '../orphans.ts';
import { hostPortsAnnotation } from '../workloads/endpoints.ts';
import { canonicalJson, type Container, isFinished, type Pod, type PodStatus } from '../workloads/objects.ts';
import { addressesIn, rewriteAddresses, targetKey } from './addresses.ts';
import { ContainerLoop, type Launch } from './container.ts';
import { type KeyValueSource, resolveEnvironment } from './environment.ts';
import { RunnerFault } from './fault.ts';
import type { HostPorts } from './host-ports.ts';
import { findImage, type ImageProgram, type ImageTable } from './images.ts';
import { ContainerLogs } from './logs.ts';
import { renderPodStatus } from './pod-status.ts';
import type { Slots } from './slots.ts';
import { mountsOf, prepareVolumes, rewritePath } from './volumes.ts';

/** What the runner asks of the Kubernetes API for one pod. */
export interface PodApi {
  writeStatus(pod: Pod, status: PodStatus): Promise<void>;
  annotate(pod: Pod, annotations: Readonly<Record<string, string>>): Promise<void>;
  /** Takes the object away at once: its processes are gone. */
  remove(pod: Pod): Promise<void>;
}

export interface PodContext {
  /** Name of the cluster: two clusters share the range of loopback ports. */
  readonly cluster: string;
  /** Folder with one folder per pod. */
  readonly podsDir: string;
  readonly claimDir: (namespace: string, claim: string) => string | undefined;
  readonly images: ImageTable;
  readonly ports: HostPorts;
  readonly source: KeyValueSource;
  readonly starts: Slots;
  readonly processes: ProcessList;
  /** Environment that every process has, such as PATH. */
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly api: PodApi;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly event: (pod: Pod, type: 'Normal' | 'Warning', reason: string, note: string) => void;
}

const defaultGraceSeconds = 30;
/** Delay before a status that could not be written is tried again. */
const rewriteMs = 1000;

/** Keeps one pod running and its status true, until it is deleted or the sandbox stops. */
export class PodWorker {
  readonly #context: PodContext;
  readonly #containers: ContainerLoop[];
  readonly #dir: string;
  readonly #hostPorts = new Map<number, number>();
  readonly #startTime: string;
  readonly #closed = new AbortController();
  #pod: Pod;
  /** As last written; the watch may be behind. */
  #status: PodStatus | undefined;
  #written = '';
  #isDirty = false;
  #writing: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;

  constructor(pod: Pod, context: PodContext) {
    this.#pod = pod;
    this.#status = pod.status;
    this.#context = context;
    this.#dir = join(context.podsDir, pod.metadata.uid ?? pod.metadata.name);
    this.#startTime = pod.status?.startTime ?? toRfc3339(context.clock.now());
    this.#containers = isFinished(pod) ? [] : pod.spec.containers.map((container) => this.#loopOf(container));
  }

  get uid(): string | undefined {
    return this.#pod.metadata.uid;
  }

  start(): void {
    if (this.#pod.metadata.deletionTimestamp !== undefined) {
      this.update(this.#pod);
      return;
    }
    if (this.#containers.length === 0) return;
    this.#changed();
    for (const container of this.#containers) container.start();
  }

  /** Takes the newest object; one that is marked for deletion ends. */
  update(pod: Pod): void {
    this.#pod = pod;
    if (pod.metadata.deletionTimestamp === undefined || this.#leaving !== undefined) return;
    this.#leaving = this.#leave().catch((error: unknown) => {
      this.#context.logger.error({ err: error, pod: pod.metadata.name }, 'a pod could not be taken down');
      this.#leaving = undefined;
    });
  }

  /** The object is gone already: nothing of it may stay. */
  async abandon(): Promise<void> {
    this.#closed.abort();
    await this.#stopContainers(0);
    await this.#cleanUp();
  }

  /** The sandbox stops: the processes end, the object and the files stay for the next start. */
  async stop(graceMs: number): Promise<void> {
    this.#closed.abort();
    await this.#stopContainers(Math.min(graceMs, this.#graceSeconds() * 1000));
    await this.#writing;
  }

  container(name: string | undefined): ContainerLoop | undefined {
    return name === undefined ? this.#containers[0] : this.#containers.find((container) => container.name === name);
  }

  async #leave(): Promise<void> {
    for (const { name } of this.#containers) {
      this.#context.event(this.#pod, 'Normal', 'Killing', `Stopping container ${name}`);
    }
    await this.#stopContainers(this.#graceSeconds() * 1000);
    await this.#writing;
    this.#closed.abort();
    await this.#context.api.remove(this.#pod);
    await this.#cleanUp();
  }

  #graceSeconds(): number {
    return (
      this.#pod.metadata.deletionGracePeriodSeconds ??
      this.#pod.spec.terminationGracePeriodSeconds ??
      defaultGraceSeconds
    );
  }

  async #stopContainers(graceMs: number): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.stop(graceMs)));
  }

  async #cleanUp(): Promise<void> {
    for (const port of this.#hostPorts.keys())
      this.#context.ports.release(this.#portKey(this.#pod.metadata.name, port));
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 3 });
  }

  #loopOf(container: Container): ContainerLoop {
    const { clock, timers, starts, processes } = this.#context;
    return new ContainerLoop({
      container,
      podName: this.#pod.metadata.name,
      restartPolicy: this.#pod.spec.restartPolicy ?? 'Always',
      graceSeconds: this.#pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds,
      prepare: () => this.#prepare(container),
      logs: new ContainerLogs(join(this.#dir, 'logs', container.name), clock),
      starts,
      before: this.#pod.status?.containerStatuses?.find((status) => status.name === container.name),
      clock,
      timers,
      onChange: () => this.#changed(),
      onEvent: (type, reason, note) => this.#context.event(this.#pod, type, reason, note),
      onProcess: (pid, isRunning) => (isRunning ? processes.add(pid) : processes.remove(pid)),
    });
  }

  async #prepare(container: Container): Promise<Launch> {
    const { images, source, claimDir, baseEnv } = this.#context;
    const pod = this.#pod;
    if ((pod.spec.initContainers ?? []).length > 0) {
      throw new RunnerFault('CreateContainerConfigError', 'the process runner runs no init containers');
    }
    const program = findImage(images, container.image);
    if ('problem' in program) throw new RunnerFault('ErrImagePull', program.problem);
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const rewrite = (text: string) => this.#rewrite(text);
    const folders = await prepareVolumes(pod, { podDir: this.#dir, claimDir, source, rewrite });
    const mounts = mountsOf(container, folders);
    const asked = { ...program.defaults, ...(await resolveEnvironment(container, pod, source)) };
    const env: Record<string, string> = { ...baseEnv, HOSTNAME: pod.metadata.name };
    for (const [name, value] of Object.entries(asked)) env[name] = await rewrite(rewritePath(value, mounts));
    Object.assign(env, await this.#portVariables(container, program), program.overrides);
    return {
      container,
      command: program.command,
      env,
      cwd: this.#dir,
      hostPort: (port) => this.#hostPorts.get(port) ?? port,
    };
  }

  /** Gives the ports of a container their places on this machine, says so on the pod, and tells the program. */
  async #portVariables(container: Container, program: ImageProgram): Promise<Record<string, string>> {
    const variables: Record<string, string> = {};
    let isNew = false;
    for (const { containerPort } of container.ports ?? []) {
      const hostPort = await this.#context.ports.claim(this.#portKey(this.#pod.metadata.name, containerPort));
      isNew ||= this.#hostPorts.get(containerPort) !== hostPort;
      this.#hostPorts.set(containerPort, hostPort);
      const variable = program.portEnv[containerPort] ?? program.portEnv.any;
      if (variable !== undefined) variables[variable] ??= String(hostPort);
    }
    if (isNew) {
      const text = JSON.stringify(Object.fromEntries(this.#hostPorts));
      await this.#context.api.annotate(this.#pod, { [hostPortsAnnotation]: text });
    }
    return variables;
  }

  async #rewrite(text: string): Promise<string> {
    const targets = addressesIn(text);
    if (targets.length === 0) return text;
    const hostPorts = new Map<string, number>();
    for (const target of targets) {
      const key =
        target.kind === 'pod'
          ? this.#portKey(target.name, target.port, target.namespace)
          : servicePortKey(this.#context.cluster, target.namespace, target.name, target.port);
      hostPorts.set(targetKey(target), await this.#context.ports.reserve(key));
    }
    return rewriteAddresses(text, hostPorts);
  }

  #portKey(pod: string, port: number, namespace = this.#pod.metadata.namespace ?? 'default'): string {
    return `${this.#context.cluster}/pod/${namespace}/${pod}/${String(port)}`;
  }

  #changed(): void {
    this.#isDirty = true;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Writes the newest status until it is written; what changes meanwhile goes with the next write. */
  async #write(): Promise<void> {
    // Changes of one moment are one write.
    await Promise.resolve();
    while (this.#isDirty) {
      this.#isDirty = false;
      const now = toRfc3339(this.#context.clock.now());
      const containers = this.#containers.map((container) => container.status);
      const status = renderPodStatus(this.#pod, this.#status?.conditions ?? [], containers, this.#startTime, now);
      const text = canonicalJson(status);
      if (text === this.#written) continue;
      try {
        await this.#context.api.writeStatus(this.#pod, status);
        this.#written = text;
        this.#status = status;
      } catch (error) {
        if (isOaasError(error, 'NotFound') || isOaasError(error, 'Conflict') || this.#closed.signal.aborted) return;
        this.#context.logger.warn(
          { err: toOaasError(error), pod: this.#pod.metadata.name },
          'a pod status was not written',
        );
        this.#isDirty = true;
        await sleep(this.#context.timers, rewriteMs, this.#closed.signal).catch(() => undefined);
      }
    }
  }
}

/** Key of the loopback port that stands for a port of a Service. */
export function servicePortKey(cluster: string, namespace: string, name: string, port: number): string {
  return `${cluster}/service/${namespace}/${name}/${String(port)}`;
}
