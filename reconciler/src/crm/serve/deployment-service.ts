import { oaasError } from '@oaas/commons/errors';
import type { ServiceHandlers } from '@oaas/commons/grpc';
import { common, deployment, runtime } from '@oaas/proto';
import { type DeploymentRecord, gridLayout, specToUnit } from '../../record/index.ts';
import type { Caches } from '../cluster/caches.ts';
import type { Deployer, DeployOutcome } from './deployer.ts';
import type { RecordHub } from './record-hub.ts';

export interface DeploymentServiceOptions {
  readonly deployer: Deployer;
  readonly hub: RecordHub;
  readonly caches: Caches;
  readonly namespace: string;
  readonly clusterName: string;
  readonly onDeployed: (outcome: DeployOutcome) => void;
}

const results: Readonly<Record<DeployOutcome, deployment.DeployResult>> = {
  created: deployment.DeployResult.DEPLOY_RESULT_CREATED,
  updated: deployment.DeployResult.DEPLOY_RESULT_UPDATED,
  unchanged: deployment.DeployResult.DEPLOY_RESULT_UNCHANGED,
};

const listDefault = 500;
const listMax = 1000;

type Handlers = ServiceHandlers<typeof deployment.DeploymentServiceDefinition>;

export function deploymentService(options: DeploymentServiceOptions): Handlers {
  const { deployer, hub, caches, namespace } = options;

  function recordOf(id: string): DeploymentRecord {
    const record = caches.records.get(`${namespace}/${id}`);
    if (record === undefined) throw oaasError('NotFound', `there is no deployment "${id}"`);
    return record;
  }

  return {
    deploy: async (request, { signal }) => {
      const { deploymentUnit: unit, dryRun = false } = request;
      if (unit === undefined) {
        throw oaasError('InvalidArgument', 'deployment_unit: the request has none', {
          details: { problems: [{ field: 'deployment_unit', message: 'is missing' }] },
        });
      }
      const outcome = await deployer.deploy(unit, dryRun, signal);
      if (!dryRun) options.onDeployed(outcome);
      return {
        status: common.StatusCode.OK,
        deploymentId: unit.id,
        message: dryRun ? `would be ${outcome}` : outcome,
        result: results[outcome],
      };
    },
    getDeploymentStatus: ({ deploymentId }) => {
      const record = recordOf(deploymentId);
      return Promise.resolve({
        status: common.StatusCode.OK,
        deployment: specToUnit(deploymentId, record.spec),
        message: record.status?.message,
        statusResourceRefs: record.status?.resourceRefs ?? [],
        record: hub.view(deploymentId),
      });
    },
    deleteDeployment: async ({ deploymentId, deleteData = false }, { signal }) => {
      const isFound = await deployer.delete(deploymentId, deleteData, signal);
      return {
        status: common.StatusCode.OK,
        message: isFound ? 'is being deleted' : 'there is no such deployment',
      };
    },
    listClassRuntimes: (request) => {
      const limit = Math.min(request.limit ?? listDefault, listMax);
      const offset = request.offset ?? 0;
      const items = sorted(caches)
        .map((record) => summaryOf(record, options.clusterName))
        .filter((item) => matches(item, request));
      return Promise.resolve({ items: items.slice(offset, offset + limit) });
    },
    getClassRuntime: ({ deploymentId }) =>
      Promise.resolve({ deployment: summaryOf(recordOf(deploymentId), options.clusterName) }),
    listDeploymentRecords: (request) => {
      const limit = Math.min(request.limit === 0 ? listDefault : request.limit, listMax);
      const after = decodeCursor(request.cursor);
      const rest = sorted(caches).filter(
        ({ metadata, spec }) =>
          metadata.name > after &&
          (request.packageName === undefined || spec.deploymentUnit.packageName === request.packageName),
      );
      const page = rest.slice(0, limit);
      const last = page.at(-1)?.metadata.name;
      return Promise.resolve({
        records: page.flatMap((record) => hub.view(record.metadata.name) ?? []),
        nextCursor: rest.length > page.length && last !== undefined ? encodeCursor(last) : '',
      });
    },
    watchDeploymentRecords: (_request, { signal }) => hub.subscribe(signal),
  };
}

function sorted(caches: Caches): DeploymentRecord[] {
  return [...caches.records.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function encodeCursor(name: string): string {
  return Buffer.from(`r1:${name}`).toString('base64url');
}

function decodeCursor(cursor: string): string {
  if (cursor === '') return '';
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (text.startsWith('r1:')) return text.slice(3);
  throw oaasError('InvalidArgument', 'cursor: is not one of this list', { remedy: 'Start again without a cursor.' });
}

function matches(item: runtime.ClassRuntimeSummary, request: deployment.ListClassRuntimesRequest): boolean {
  const { packageName, classKey, targetEnv, status } = request;
  return (
    (packageName === undefined || item.packageName === packageName) &&
    (classKey === undefined || item.classKey === classKey) &&
    (targetEnv === undefined || item.targetEnvironment === targetEnv) &&
    (status === undefined || conditionName(item) === status.toUpperCase())
  );
}

function conditionName(item: runtime.ClassRuntimeSummary): string {
  const value = item.status?.condition ?? runtime.DeploymentCondition.DEPLOYMENT_CONDITION_UNKNOWN;
  return Object.entries(runtime.DeploymentCondition).find(([, each]) => each === value)?.[0] ?? '';
}

function summaryOf(record: DeploymentRecord, clusterName: string): runtime.ClassRuntimeSummary {
  const { metadata, spec, status } = record;
  const { deploymentUnit, nfrRequirements, odgmConfig } = spec;
  const [first] = gridLayout({ ...deploymentUnit, nfr: nfrRequirements, odgm: odgmConfig }).collections;
  const updatedAt = status?.lastUpdated ?? metadata.creationTimestamp ?? '';
  return {
    id: metadata.name,
    deploymentUnitId: metadata.name,
    packageName: deploymentUnit.packageName,
    classKey: deploymentUnit.classKey,
    targetEnvironment: spec.targetEnvironment,
    clusterName,
    status: {
      condition: oldCondition(record),
      phase: oldPhase(record),
      message: status?.message,
      lastUpdated: updatedAt,
      functions: [],
    },
    nfrCompliance: undefined,
    resourceRefs: status?.resourceRefs ?? [],
    createdAt: metadata.creationTimestamp ?? '',
    updatedAt,
    partitionCount: first?.partitionCount ?? 0,
  };
}

/** The coarser words that older clients know. */
function oldCondition({ metadata, status }: DeploymentRecord): runtime.DeploymentCondition {
  if (metadata.deletionTimestamp !== undefined) return runtime.DeploymentCondition.DELETED;
  switch (status?.condition) {
    case undefined:
    case 'Pending':
      return runtime.DeploymentCondition.PENDING;
    case 'Provisioning':
    case 'Scaling':
      return runtime.DeploymentCondition.DEPLOYING;
    case 'Running':
      return runtime.DeploymentCondition.RUNNING;
    case 'Failed':
      return runtime.DeploymentCondition.DOWN;
    case 'Terminated':
      return runtime.DeploymentCondition.DELETED;
  }
}

function oldPhase({ status }: DeploymentRecord): runtime.DeploymentPhase {
  if (status?.condition === 'Failed') return runtime.DeploymentPhase.FAILED;
  if (status?.phase === undefined) return runtime.DeploymentPhase.DEPLOYMENT_PHASE_UNKNOWN;
  return status.phase === 'Ready'
    ? runtime.DeploymentPhase.PHASE_RUNNING
    : runtime.DeploymentPhase.RESOURCE_PROVISIONING;
}
