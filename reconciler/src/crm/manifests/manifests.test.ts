import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { DeploymentRecord, RecordSpec } from '../../record/index.ts';
import { gridLayout } from '../../record/index.ts';
import {
  functionDeployments,
  functionServices,
  gridConfigMap,
  gridServices,
  gridStatefulSet,
  type RenderInput,
  type RenderSettings,
} from './index.ts';

const spec: RecordSpec = {
  deploymentUnit: {
    packageName: 'shop',
    classKey: 'Cart',
    functions: [
      {
        functionKey: 'add',
        provisionConfig: { containerImage: 'shop/add:1', port: 9000, minScale: 0, cpuLimit: '2' },
        config: { MODE: 'own', ODGM_ENDPOINT: 'nonsense' },
      },
      { functionKey: 'pay.now', provisionConfig: { containerImage: 'shop/pay:1', minScale: 3 } },
    ],
    functionBindings: [
      { name: 'add_item', functionKey: 'add', stateless: true },
      { name: 'pay', functionKey: 'pay.now' },
    ],
  },
  targetEnvironment: 'cloud',
  nfrRequirements: { maxLatencyMs: 90, minThroughputRps: 2000 },
  odgmConfig: { options: { node_count: '2', flavour: 'x', maxValueBytes: '1024' }, log: 'debug,h2=info' },
  environment: { REGION: 'eu', MODE: 'env' },
  source: { commit: 'abc' },
};

const settings: RenderSettings = {
  odgmImage: 'oaas/odgm:dev',
  serviceType: 'NodePort',
  logLevel: 'info',
  antiAffinity: true,
  volumePermissions: false,
  ephemeralGrid: false,
};

function input(change: Partial<RecordSpec> = {}, changed: Partial<RenderSettings> = {}): RenderInput {
  const record: DeploymentRecord = {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name: 'shop-cart-00000000', namespace: 'ns', uid: 'u1' },
    spec: { ...spec, ...change },
  };
  return {
    record,
    namespace: 'ns',
    layout: gridLayout({
      ...record.spec.deploymentUnit,
      nfr: record.spec.nfrRequirements,
      odgm: record.spec.odgmConfig,
    }),
    template: { templateType: 'k8s_deployment' },
    environment: { REGION: 'template', ZONE: 'z1' },
    settings: { ...settings, ...changed },
  };
}

interface Rendered {
  readonly metadata: { readonly name: string; readonly annotations: Record<string, string> };
  readonly spec: Record<string, never> & {
    readonly replicas: number;
    readonly template: {
      readonly spec: {
        readonly containers: readonly Container[];
        readonly volumes: readonly { name: string }[];
        affinity?: unknown;
      };
    };
    readonly volumeClaimTemplates?: readonly unknown[];
  };
}

interface Container {
  readonly env: readonly { name: string; value?: string; valueFrom?: unknown }[];
  readonly resources: unknown;
  readonly securityContext: unknown;
}

const object = (child: { object: unknown } | undefined) => child?.object as Rendered;

function variables(rendered: Rendered): Record<string, string | undefined> {
  return Object.fromEntries(
    (rendered.spec.template.spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value]),
  );
}

describe('the grid', () => {
  it('hands the volume to the grid first where that is asked for, and never a volume that is not kept', () => {
    const spec = (settings: Partial<RenderInput['settings']>) =>
      object(gridStatefulSet(input({}, settings))).spec.template.spec as { initContainers?: unknown };
    expect(spec({ volumePermissions: false }).initContainers).toBeUndefined();
    expect(spec({ volumePermissions: true }).initContainers).toMatchObject([{ securityContext: { runAsUser: 0 } }]);
    expect(spec({ volumePermissions: true, ephemeralGrid: true }).initContainers).toBeUndefined();
  });

  it('is told the same members and collections by file and by environment', () => {
    const config = parse(
      (gridConfigMap(input()).object['data'] as Record<string, string>)['odgm-config.yaml'] ?? '',
    ) as Record<string, unknown>;
    const env = variables(object(gridStatefulSet(input())));
    const host = (index: number) => `shop-cart-00000000-odgm-${String(index)}.shop-cart-00000000-odgm-peers.ns.svc`;
    const member = (index: number) =>
      `shop-cart-00000000-odgm-${String(index)}=${host(index)}:8080;admin=${host(index)}:8081`;
    expect(config['members']).toEqual([member(0), member(1)]);
    expect(env['ODGM_MEMBERS']).toBe([member(0), member(1)].join(','));
    expect(JSON.parse(env['ODGM_COLLECTION'] ?? '')).toEqual(config['collections']);
    expect(config['collections']).toEqual([
      {
        name: 'cart_data',
        classIds: ['shop.Cart'],
        partitionCount: 4,
        replicaCount: 1,
        shardType: 'basic',
        durability: 'persistent',
        options: { maxValueBytes: '1024' },
        invocations: {
          fnRoutes: {
            add_item: { url: 'http://shop-cart-00000000-fn-add.ns.svc:9000', stateless: true, functionKey: 'add' },
            pay: {
              url: expect.stringMatching(
                /^http:\/\/shop-cart-00000000-fn-pay-now-[0-9a-f]{5}\.ns\.svc:8080$/,
              ) as string,
              stateless: false,
              functionKey: 'pay.now',
            },
          },
          disabledFn: [],
        },
      },
    ]);
  });

  it('derives what triggers may do from the latency asked for', () => {
    expect(variables(object(gridStatefulSet(input())))).toMatchObject({
      ODGM_MAX_TRIGGER_DEPTH: '5',
      ODGM_TRIGGER_TIMEOUT_MS: '1000',
      ODGM_EVENTS_ENABLED: 'false',
      ODGM_LOG: 'debug,h2=info',
    });
    expect(variables(object(gridStatefulSet(input({ nfrRequirements: { maxLatencyMs: 4000 } }))))).toMatchObject({
      ODGM_MAX_TRIGGER_DEPTH: '10',
      ODGM_TRIGGER_TIMEOUT_MS: '2000',
    });
  });

  it('keeps its data on a claim of each node, or in memory when nothing is to be kept', () => {
    const kept = object(gridStatefulSet(input()));
    expect(kept.spec.volumeClaimTemplates).toHaveLength(1);
    expect(kept.spec.template.spec.volumes.map(({ name }) => name)).toEqual(['config', 'tmp']);
    for (const lost of [
      input({}, { ephemeralGrid: true }),
      input({ odgmConfig: { options: { durability: 'ephemeral' } } }),
    ]) {
      const rendered = object(gridStatefulSet(lost));
      expect(rendered.spec.volumeClaimTemplates).toBeUndefined();
      expect(rendered.spec.template.spec.volumes.map(({ name }) => name)).toContain('data');
    }
  });

  it('learns the zone of its node from the label that Kubernetes puts on its pod', () => {
    const { env } = object(gridStatefulSet(input())).spec.template.spec.containers[0]!;
    expect(env.find(({ name }) => name === 'ODGM_ZONE')?.valueFrom).toMatchObject({
      fieldRef: { fieldPath: "metadata.labels['topology.kubernetes.io/zone']" },
    });
  });

  it('may hold half of the volume that each node has, which is not always the one that is asked for now', () => {
    const capacity = (given: RenderInput) => variables(object(gridStatefulSet(given)))['ODGM_CAPACITY_BYTES'];
    const asked = (storageSize: string) => ({ ...input(), template: { ...input().template, grid: { storageSize } } });
    expect(capacity(input())).toBe(String(2 ** 29));
    expect(capacity(asked('10G'))).toBe('5000000000');
    const existing = { metadata: { name: 'data' }, spec: { resources: { requests: { storage: '4Gi' } } } };
    expect(capacity({ ...asked('10G'), existingVolumeClaims: [existing] })).toBe(String(2 ** 31));
    expect(capacity(input({}, { ephemeralGrid: true }))).toBeUndefined();
  });

  it('may do no more than it needs, and is spread over machines and zones where asked', () => {
    const { containers, affinity } = object(gridStatefulSet(input())).spec.template.spec;
    expect(containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const labelSelector = { matchLabels: { 'odgm-cluster': 'shop-cart-00000000' } };
    expect(affinity).toEqual({
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, podAffinityTerm: { labelSelector, topologyKey: 'kubernetes.io/hostname' } },
          { weight: 50, podAffinityTerm: { labelSelector, topologyKey: 'topology.kubernetes.io/zone' } },
        ],
      },
    });
    expect(object(gridStatefulSet(input({}, { antiAffinity: false }))).spec.template.spec.affinity).toBeUndefined();
  });

  it('is reached by one Service and its nodes by another, before they are ready', () => {
    const [service, peers] = gridServices(input()).map((child) => child.object['spec'] as Record<string, unknown>);
    expect(service).toMatchObject({ type: 'NodePort', ports: [{ port: 8080 }, { port: 8081 }] });
    expect(peers).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
    // A grid of one node has no peers; its pods keep their names all the same.
    const alone = input({ odgmConfig: {} });
    expect(gridServices(alone)).toHaveLength(1);
    expect(object(gridStatefulSet(alone)).spec['serviceName']).toBe('shop-cart-00000000-odgm-peers');
  });

  it('becomes new pods when its configuration changes, and stays as it is when only the commit does', () => {
    const digest = (change: Partial<RecordSpec>) =>
      JSON.stringify(object(gridStatefulSet(input(change))).spec.template);
    expect(digest({ source: { commit: 'def' } })).toBe(digest({}));
    expect(digest({ odgmConfig: { partitionCount: 8 } })).not.toBe(digest({}));
    expect(
      gridStatefulSet(input({ source: { commit: 'def' } })).object.metadata.annotations?.['oaas.io/git-commit'],
    ).toBe('def');
  });
});

describe('a function', () => {
  const [add, pay] = functionDeployments(input()).map((child) => object(child));

  it('has the environment, its own configuration over it, and what the platform says over both', () => {
    expect(variables(add as Rendered)).toMatchObject({
      ZONE: 'z1',
      REGION: 'eu',
      MODE: 'own',
      ODGM_ENDPOINT: 'http://shop-cart-00000000-odgm.ns.svc:8080',
      ODGM_CLUSTER_ID: 'shop-cart-00000000',
      ODGM_NODE_ROLE: 'client',
      ODGM_COLLECTIONS: '["cart_data"]',
      FUNCTION_KEY: 'add',
      FUNCTION_PORT: '9000',
      DEPLOYMENT_ID: 'shop-cart-00000000',
      ENVIRONMENT: 'cloud',
      EXPECTED_THROUGHPUT: '2000',
      MAX_LATENCY_MS: '90',
    });
  });

  it('has as many pods as asked for, and one where none were', () => {
    expect([add?.spec.replicas, pay?.spec.replicas]).toEqual([1, 3]);
  });

  it('takes each amount from the most particular wish for it', () => {
    expect(add?.spec.template.spec.containers[0]?.resources).toEqual({
      requests: { cpu: '100m', memory: '256Mi' },
      limits: { cpu: '2', memory: '512Mi' },
    });
  });

  it('has a Service on its own port', () => {
    expect(
      functionServices(input()).map((child) => (child.object['spec'] as { ports: { port: number }[] }).ports[0]?.port),
    ).toEqual([9000, 8080]);
  });
});

describe('every child', () => {
  it('is owned by its record, carries the labels of the platform, and renders the same twice', () => {
    const render = () => [
      gridConfigMap(input()),
      gridStatefulSet(input()),
      ...gridServices(input()),
      ...functionDeployments(input()),
      ...functionServices(input()),
    ];
    expect(render()).toEqual(render());
    for (const { object: rendered } of render()) {
      expect(rendered.metadata.ownerReferences).toEqual([
        {
          apiVersion: 'oaas.io/v1alpha1',
          kind: 'DeploymentRecord',
          name: 'shop-cart-00000000',
          uid: 'u1',
          controller: true,
          blockOwnerDeletion: true,
        },
      ]);
      expect(rendered.metadata.labels).toMatchObject({
        'app.kubernetes.io/managed-by': 'oaas-crm',
        'app.kubernetes.io/part-of': 'shop',
        'oaas.io/package': 'shop',
        'oaas.io/class': 'Cart',
        'oaas.io/deployment': 'shop-cart-00000000',
      });
    }
  });
});
