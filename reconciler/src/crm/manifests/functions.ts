import { kinds } from '../../kubernetes/index.ts';
import type { FunctionSpec } from '../../record/index.ts';
import {
  type Child,
  child,
  env,
  idOf,
  labelsOf,
  namesOf,
  type Part,
  ports,
  type RenderInput,
  resources,
  selectorLabels,
  serviceAddress,
} from './common.ts';

const defaultResources = { cpuRequest: '100m', memoryRequest: '256Mi', cpuLimit: '500m', memoryLimit: '512Mi' };

function partOf(input: RenderInput, fn: FunctionSpec): Part {
  const workload = namesOf(input.record).workload(fn.functionKey);
  return { name: 'function', component: fn.functionKey, workload };
}

export function functionPort(fn: FunctionSpec): number {
  return fn.provisionConfig?.port ?? ports.function;
}

/** This kind of workload cannot wake from nothing, so a wish for none is one. */
export function functionReplicas(fn: FunctionSpec): number {
  return Math.max(1, fn.provisionConfig?.minScale ?? 1);
}

export function functionDeployments(input: RenderInput): readonly Child[] {
  return (input.record.spec.deploymentUnit.functions ?? []).map((fn) => deployment(input, fn));
}

export function functionServices(input: RenderInput): readonly Child[] {
  return (input.record.spec.deploymentUnit.functions ?? []).map((fn) => {
    const part = partOf(input, fn);
    return child(input, kinds.service, part.workload, part, {
      spec: {
        type: 'ClusterIP',
        selector: selectorLabels(input.record, part),
        ports: [{ name: 'grpc', port: functionPort(fn), targetPort: 'grpc', protocol: 'TCP' }],
      },
    });
  });
}

function deployment(input: RenderInput, fn: FunctionSpec): Child {
  const { record, template } = input;
  const part = partOf(input, fn);
  const { functions } = template;
  return child(input, kinds.deployment, part.workload, part, {
    spec: {
      replicas: functionReplicas(fn),
      selector: { matchLabels: selectorLabels(record, part) },
      template: {
        metadata: { labels: labelsOf(record, part) },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              name: 'function',
              image: fn.provisionConfig?.containerImage ?? '',
              imagePullPolicy: functions?.imagePullPolicy ?? 'IfNotPresent',
              ports: [{ name: 'grpc', containerPort: functionPort(fn), protocol: 'TCP' }],
              env: env(functionVariables(input, fn)),
              readinessProbe: { tcpSocket: { port: 'grpc' }, periodSeconds: 2, failureThreshold: 3 },
              resources: resources(fn.provisionConfig, functions, defaultResources),
              securityContext: { allowPrivilegeEscalation: false },
            },
          ],
        },
      },
    },
  });
}

/** Environment, then the function's own configuration, then what the platform says, which nobody may override. */
function functionVariables(input: RenderInput, fn: FunctionSpec): Record<string, string> {
  const { record, namespace, layout } = input;
  const nfr = { ...record.spec.nfrRequirements, ...fn.nfrRequirements };
  return {
    ...input.environment,
    ...record.spec.environment,
    ...fn.config,
    ODGM_ENDPOINT: `http://${serviceAddress(namesOf(record).grid, namespace, ports.grid)}`,
    ODGM_CLUSTER_ID: idOf(record),
    ODGM_NODE_ROLE: 'client',
    ODGM_COLLECTIONS: JSON.stringify(layout.collections.map((collection) => collection.name)),
    ODGM_ACCESS_MODE: 'read_write',
    ODGM_CACHING_STRATEGY: 'none',
    FUNCTION_KEY: fn.functionKey,
    FUNCTION_PORT: String(functionPort(fn)),
    DEPLOYMENT_ID: idOf(record),
    ENVIRONMENT: record.spec.targetEnvironment,
    ...(nfr.minThroughputRps === undefined ? {} : { EXPECTED_THROUGHPUT: String(nfr.minThroughputRps) }),
    ...(nfr.maxLatencyMs === undefined ? {} : { MAX_LATENCY_MS: String(nfr.maxLatencyMs) }),
  };
}
