import { kinds, type KubeObject, type ResourceType } from '../kubernetes/index.ts';
import { group, version } from '../record/index.ts';

/** The platform's own kinds. */
export const platformKinds = {
  record: { group, version, kind: 'DeploymentRecord', plural: 'deploymentrecords', namespaced: true },
  template: { group, version, kind: 'DeploymentTemplate', plural: 'deploymenttemplates', namespaced: true },
  environment: { group, version, kind: 'EnvironmentConfig', plural: 'environmentconfigs', namespaced: true },
} as const satisfies Record<string, ResourceType>;

/** Kinds that a record's children may have, in the order in which they are applied. Removed in reverse. */
export const childKinds = [kinds.configMap, kinds.service, kinds.statefulSet, kinds.deployment] as const;

/** The parts of workloads that are read. */
export interface Workload extends KubeObject {
  readonly kind: 'StatefulSet' | 'Deployment';
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly image?: string }[] } };
    readonly volumeClaimTemplates?: readonly unknown[];
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
    readonly conditions?: readonly KubeCondition[];
  };
}

export interface KubeCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface Service extends KubeObject {
  readonly kind: 'Service';
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly nodePort?: number }[];
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly image?: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number };
}

/** What is kept of a pod: its spec is that of its workload. */
export interface Pod extends KubeObject {
  readonly kind: 'Pod';
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly KubeCondition[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface VolumeClaim extends KubeObject {
  readonly kind: 'PersistentVolumeClaim';
  readonly status?: { readonly phase?: string };
}

export interface Node extends KubeObject {
  readonly kind: 'Node';
  readonly status?: {
    readonly conditions?: readonly KubeCondition[];
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  };
}
