import { createDeploymentClient, type DeploymentClient } from '@oaas/commons/client';
import { type Channel, createGrpcChannel } from '@oaas/commons/grpc';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually } from '@oaas/commons/testkit';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { unit as wire } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { startEmbeddedApi, startRealApi } from '../kubernetes/index.ts';
import {
  createKubernetesClient,
  kinds,
  type KubernetesClient,
  type KubeObject,
  type ResourceType,
} from '../../src/kubernetes/index.ts';
import { type DeploymentRecord, findCondition, unitId } from '../../src/record/index.ts';
import { loadCrmConfig } from '../../src/crm/config.ts';
import { platformKinds, type Workload } from '../../src/crm/objects.ts';
import { type CrmProgram, createCrmProgram } from '../../src/crm/program.ts';
import { startHandGrid, type HandGrid } from '../../src/crm/testing/grid.ts';
import { HandKubelet } from '../../src/crm/testing/kubelet.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
export const namespace = 'default';
export const token = 'a-token-of-this-test';

interface Server {
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

interface Target {
  readonly name: string;
  readonly isSkipped: boolean;
  /** The API server's proxy reaches the grid of this test. */
  readonly hasProxy: boolean;
  start(grid: { readonly url: string }): Promise<Server>;
}

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };

const targets: readonly Target[] = [
  {
    name: 'the embedded API',
    isSkipped: false,
    hasProxy: true,
    start: (grid) =>
      startEmbeddedApi({ name: 'embedded', ...time, subresources: { proxy: () => Promise.resolve(grid.url) } }),
  },
  {
    name: `a real API server${assets === undefined ? ' (skipped: KUBEBUILDER_ASSETS is not set)' : ''}`,
    isSkipped: assets === undefined,
    hasProxy: false,
    start: () => startRealApi({ assets: assets ?? '', controllers: ['garbage-collector-controller'] }),
  },
];

/** A class with two functions, for the cluster of the CRM under test. */
export function counterUnit(packageName: string, change: Parameters<typeof wire.DeploymentUnit.fromPartial>[0] = {}) {
  return wire.DeploymentUnit.fromPartial({
    id: unitId(packageName, 'Counter', 'cloud'),
    packageName,
    classKey: 'Counter',
    targetEnv: 'cloud',
    functions: ['increment', 'reset'].map((functionKey) => ({
      functionKey,
      functionType: 'CUSTOM',
      provisionConfig: { containerImage: `oaas/example-${functionKey}:1`, cpuRequest: '0.5' },
      config: { GREETING: 'hello' },
    })),
    functionBindings: [
      { name: 'inc', functionKey: 'increment' },
      { name: 'reset', functionKey: 'reset' },
    ],
    source: { source: 's', repo: 'r', ref: 'main', commit: 'c0ffee0011223344', path: 'p.yaml', digest: 'digest-1' },
    generation: 1,
    ...change,
  });
}

/** A CRM as a program, the Kubernetes API that it works against, and a client of its services. */
export class CrmUnderTest {
  grid!: HandGrid;
  api!: KubernetesClient;
  kubelet!: HandKubelet;
  program!: CrmProgram;
  channel!: Channel;
  client!: DeploymentClient;
  readonly #target: Target;
  #server!: Server;

  constructor(target: Target) {
    this.#target = target;
  }

  get hasProxy(): boolean {
    return this.#target.hasProxy;
  }

  /** `gridUrl`: the admin API of a grid that is there; without it, of one with numbers set by hand. */
  async start(gridUrl?: string): Promise<void> {
    this.grid = await startHandGrid();
    this.#server = await this.#target.start({ url: gridUrl ?? this.grid.url });
    this.api = this.#connect();
    this.kubelet = new HandKubelet(this.api, namespace);
    await this.#startProgram();
  }

  async stop(): Promise<void> {
    this.channel.close();
    await this.program.group.stop();
    await this.api.close();
    await this.#server.stop();
    await this.grid.stop();
  }

  /** Stops the CRM and starts another one against the same API. */
  async replace(): Promise<void> {
    await this.program.group.stop();
    this.channel.close();
    await this.#startProgram();
  }

  async record(id: string): Promise<DeploymentRecord> {
    return (await this.api.get(platformKinds.record, { name: id, namespace })) as unknown as DeploymentRecord;
  }

  /** Resolves with the condition once it has this reason. */
  untilReason(id: string, type: Parameters<typeof findCondition>[1], reason: string) {
    return eventually(async () => {
      const condition = findCondition((await this.record(id)).status?.conditions, type);
      expect(condition?.reason, condition?.message).toBe(reason);
      return condition;
    });
  }

  /** Kind and name, without the record's id, of what the CRM has made for a record. */
  async children(id: string): Promise<string[]> {
    const items = await this.#childrenOf(id);
    return items.map((item) => `${item.kind} ${item.metadata.name.replace(id, '')}`).sort();
  }

  /** Resource versions of a record and its children. */
  async versions(id: string): Promise<string[]> {
    const found = [await this.record(id), ...(await this.#childrenOf(id))];
    return found.map((item) => String(item.metadata.resourceVersion));
  }

  get(type: ResourceType, name: string): Promise<Workload> {
    return this.api.get(type, { name, namespace }) as Promise<Workload>;
  }

  async #childrenOf(id: string): Promise<KubeObject[]> {
    const found: KubeObject[] = [];
    for (const type of [kinds.configMap, kinds.deployment, kinds.service, kinds.statefulSet]) {
      const { items } = await this.api.list(type, { namespace, labelSelector: `oaas.io/deployment=${id}` });
      found.push(...items);
    }
    return found;
  }

  #connect(): KubernetesClient {
    return createKubernetesClient({ kubeconfigText: this.#server.kubeconfig, ...time });
  }

  async #startProgram(): Promise<void> {
    const { config } = loadCrmConfig(
      {
        OPRC_CRM_ENV: 'cloud',
        OPRC_CRM_GRPC_PORT: '0',
        OPRC_CRM_OPS_PORT: '0',
        OPRC_CRM_K8S_NAMESPACE: namespace,
        OPRC_CRM_GRID_ACCESS: 'proxy',
        OPRC_CRM_TOKEN: token,
      },
      [],
    );
    this.program = createCrmProgram(config, {
      ...time,
      api: this.#connect(),
      logger: createLogger({ service: 'crm', level: 'silent' }),
      version: 'test',
      hostName: 'test',
      onFatal: (reason) => {
        throw new Error(reason);
      },
    });
    await this.program.group.start();
    this.channel = createGrpcChannel(this.program.listening.grpc);
    this.client = createDeploymentClient(this.channel, { metadata: { authorization: `Bearer ${token}` } });
  }
}

/** A CRM on the embedded API that reaches a grid which is there. */
export async function startCrm(gridUrl: string): Promise<CrmUnderTest> {
  const [embedded] = targets;
  if (embedded === undefined) throw new Error('there is no embedded API');
  const crm = new CrmUnderTest(embedded);
  await crm.start(gridUrl);
  return crm;
}

/** Runs the tests against a CRM on the embedded API, and on a real API server where there is one. */
export function describeCrm(tests: (crm: CrmUnderTest) => void): void {
  for (const target of targets) {
    describe.skipIf(target.isSkipped)(`a CRM against ${target.name}`, () => {
      const crm = new CrmUnderTest(target);
      beforeAll(() => crm.start());
      afterAll(() => crm.stop());
      tests(crm);
    });
  }
}
